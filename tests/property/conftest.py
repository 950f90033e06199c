"""Hypothesis for all of these tests: how long one example takes depends on the machine and is no claim of theirs."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("hvintegration", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hvintegration")
