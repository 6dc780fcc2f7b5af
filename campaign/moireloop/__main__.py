"""`python -m moireloop`: the command line (main)."""

from __future__ import annotations

import sys

from moireloop.cli import main

if __name__ == "__main__":
    sys.exit(main())
