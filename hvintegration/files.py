"""Files that the user names: read only where that ends, written whole or not at all, and why they cannot be used."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Generator
from pathlib import Path
from typing import TextIO

from hvintegration.errors import one_line

__all__ = ["read_bytes", "read_text", "reason", "replaced"]


def read_text(path: str | os.PathLike[str], most: int) -> str:
    """The text of a file in UTF-8, with or without a byte order mark; its line ends as they are.

    Raises:
        OSError: It cannot be read, is no regular file (a pipe, say, that nobody may write to), or has more than *most*
            characters.
        UnicodeDecodeError: It is no text.
    """
    with open(path, encoding="utf-8-sig", newline="\n", opener=_open_regular) as file:
        text = file.read(most + 1)
    if len(text) > most:
        raise OSError(errno.EFBIG, f"it is longer than {most} characters")
    return text


def read_bytes(path: str | os.PathLike[str], most: int) -> bytes:
    """What is in a file.

    Raises:
        OSError: It cannot be read, is no regular file, or has more than *most* bytes.
    """
    with open(path, "rb", opener=_open_regular) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is longer than {most} bytes")
    return content


@contextlib.contextmanager
def replaced(path: str | os.PathLike[str]) -> Generator[TextIO]:
    """A file to be written, in UTF-8, that takes the place of *path* at the end of the block.

    Until then, and where the block raises, what was there stays as it was.

    Raises:
        OSError: It cannot be written, or there is something that is no regular file.
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "it is no regular file")
    beside = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        with beside.open("x", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _open_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return descriptor


def reason(error: OSError | ValueError) -> str:
    """Why a file cannot be used, in half a sentence."""
    return (error.strerror if isinstance(error, OSError) else None) or one_line(str(error))
