"""Whom spnego lets in with NTLM, which it reads of a file that the environment names."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_VARIABLE: Final = "NTLM_USER_FILE"
_lock = threading.Lock()


@contextlib.contextmanager
def let_in(users: Path) -> Iterator[None]:
    """Let in whom the file has, in lines of ``DOMAIN:user:password``. Others wait for their turn."""
    with _lock:
        before = os.environ.get(_VARIABLE)
        os.environ[_VARIABLE] = str(users)
        try:
            yield
        finally:
            del os.environ[_VARIABLE]
            if before is not None:
                os.environ[_VARIABLE] = before
