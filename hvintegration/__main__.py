"""``python -m hvintegration`` is the command ``hvintegration``."""

from __future__ import annotations

import sys

from hvintegration.cli import main

if __name__ == "__main__":
    sys.exit(main())
