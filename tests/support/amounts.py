"""How much is tested by day, and how much at night, by ``nox -s soak``."""

from __future__ import annotations

import os
from typing import Final

THOROUGH: Final = bool(os.environ.get("HVINTEGRATION_THOROUGH"))
"""Whether all of what is much alike is tested, instead of some of it."""
