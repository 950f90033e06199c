"""What asking ends with where nothing may come of it."""

from __future__ import annotations

import pytest

from hvintegration import Host, Transport
from hvintegration.errors import TransportError


def refused(transport: Transport, timeout: float = 20) -> TransportError:
    """The error that asking ends with; nothing ran, and nothing may have."""
    with Host(transport) as host, pytest.raises(TransportError) as raised:
        host.info(timeout=timeout)
    assert not raised.value.may_have_run
    assert raised.value.fenced
    return raised.value
