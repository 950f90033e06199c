"""``python -m hvintegration`` is the command ``hvintegration``."""

from __future__ import annotations

import sys

__all__ = ["run"]


def run() -> int:
    """Run the command; its exit code. Importing it takes a moment, in which Ctrl-C ends it in good order, too."""
    try:
        from hvintegration.cli import main
    except KeyboardInterrupt:
        return 130  # hvintegration.cli.INTERRUPTED, which is not to be had
    return main()


if __name__ == "__main__":
    sys.exit(run())
