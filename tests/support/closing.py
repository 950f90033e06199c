"""What is to be closed."""

from __future__ import annotations

from typing import Self


class Closing:
    """Something that is to be closed, or entered; then nothing of it is left."""

    def close(self) -> None:
        """End everything of it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
