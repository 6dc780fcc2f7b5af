"""Final structures as a diffraction experiment sees them: GIXD and RHEED, with widths, heat and counts (pure)."""
