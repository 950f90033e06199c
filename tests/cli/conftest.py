"""A world for the command."""

from __future__ import annotations

import pytest

from hvintegration import World
from hvintegration.simulator import demo_world


@pytest.fixture
def world() -> World:
    return demo_world()
