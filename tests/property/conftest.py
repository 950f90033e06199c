"""Hypothesis for all of these tests: how long one example takes depends on the machine and is no claim of theirs.

``HVINTEGRATION_EXAMPLES`` says how many examples of each instead of 30.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("HVINTEGRATION_EXAMPLES", "30"))

settings.register_profile(
    "hvintegration", deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("hvintegration")
