"""Commands that carry a campaign out: sessions, single services, workers that join (pure)."""
