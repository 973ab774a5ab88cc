"""New files for entries, as JSON Lines: readable by their owner alone, and never over another file."""

import os
from collections.abc import Iterable
from pathlib import Path

from recorder import RestanteError
from tui.text.format import count, printable

__all__ = ["refusal", "write"]

_PRIVATE = 0o600  # it will have user data


def refusal(name: str) -> str:
    """Return why no file of this name can be made, or nothing."""
    file = Path(name).expanduser()
    if not name or file.is_dir():
        return "give the name of a file"
    if file.exists() or file.is_symlink():
        return "that file exists already: give another name"
    return "" if file.parent.is_dir() else f"there is no folder {file.parent}"


def write(name: str, lines: Iterable[str]) -> str:
    """Write lines to a new file, and return the result in words; what was begun and failed is removed.

    Raises:
        RestanteError: It cannot be written.
    """
    file, number = Path(name).expanduser(), 0
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    except OSError as error:
        raise RestanteError(f"{name} cannot be created: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as output:
            for number, line in enumerate(lines, 1):  # noqa: B007  # counted
                output.write(f"{line}\n")
    except BaseException as error:
        file.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise RestanteError(f"{name} cannot be written: {error.strerror}") from None
        raise
    return f"Exported {count(number, 'entry', 'entries')} to {printable(str(file.absolute()))}."
