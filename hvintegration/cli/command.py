"""The command ``hvintegration``, which is also ``python -m hvintegration``.

Results go to standard output, what went wrong goes to standard error. Where standard output is a terminal, tables are
drawn with rich, in colour; there, and only there, the extra is needed: ``pip install 'hvintegration[cli]'``. Piped
tables, ``--format json`` and ``--format csv`` work without it, and so does a terminal that is dumb (``TERM=dumb``).
``NO_COLOR`` is respected. Other people's text, such as the name of a virtual machine, cannot steer the terminal.

The exit statuses are explained at the end of ``--help``.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Final

from hvintegration.calls.operation import INTERRUPTED_CHANGE
from hvintegration.cli.demo import demonstrate
from hvintegration.cli.options import Options
from hvintegration.cli.parser import parse
from hvintegration.cli.results import (
    CHANGED_NOT_TOLD,
    DONE,
    FAILED,
    INTERRUPTED,
    MISUSED,
    OUTCOME_UNKNOWN,
    write_document,
)
from hvintegration.cli.screen import OutputLostError, RichMissingError, complain, hint, write
from hvintegration.errors import ConfigurationError, HvError, OutcomeUnknownError, UnknownServiceError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status.

    Args:
        argv: The arguments, without the program's name; those of this process if None.

    Raises:
        SystemExit: The command line asks for help or is wrong.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # Notebooks and tests put other things in their place.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    options = Options()
    try:
        return _run(argv, options)
    except OutputLostError as lost:
        if lost.reason is None and not options.changed:
            return DONE
        done = "The changes were made, but the" if options.changed else "The"
        complain(f"error: {done} output cannot be written: {lost.reason or 'nobody reads it'}.")
        return CHANGED_NOT_TOLD if options.changed else FAILED


def _run(argv: Sequence[str] | None, options: Options) -> int:
    try:
        parse(argv, options, _demo)
        status = options.run(options)
        write("")
    except SystemExit:
        write("")
        raise
    except HvError as error:
        complain(f"error: {error}")
        hint(error)
        if options.format == "json" and not options.shown:
            write_document(None, (error,))
        if options.changed:
            return CHANGED_NOT_TOLD
        return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), FAILED)
    except RichMissingError:
        complain("error: Tables on a terminal need the extra: pip install 'hvintegration[cli]'")
        return FAILED
    except KeyboardInterrupt as interruption:
        # Python adds notes of its own where Ctrl-C strikes in the making of a class.
        ours = [note for note in getattr(interruption, "__notes__", ()) if note.startswith(INTERRUPTED_CHANGE)]
        complain(" ".join(["interrupted.", *ours]))
        return INTERRUPTED
    return status


_STATUSES: Final = {OutcomeUnknownError: OUTCOME_UNKNOWN, ConfigurationError: MISUSED, UnknownServiceError: MISUSED}


def _demo(_: Options) -> int:
    demonstrate(main)
    return DONE
