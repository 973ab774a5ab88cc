"""State that the browser keeps between its runs: of each journal the last view and filter, and the filters typed.

A file for each journal, in a folder that only its owner can read: filters name users. Nothing depends on it: what
cannot be read, or was written by somebody else, is as if it were not there, and what cannot be written is dropped.
"""

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Remembered", "forget", "recall", "remember"]

_MOST_JOURNALS = 200
_MOST_FILTERS = 100
_MOST_WORDS = 50
_LONGEST = 500  # characters of a filter
_MOST_BYTES = 400_000
_NO_FILE = (OSError, RuntimeError)  # the latter where nobody knows the person's home


@dataclass(frozen=True, slots=True)
class Remembered:
    """State of the browser at its end.

    Attributes:
        view: The view that showed.
        words: The filter of the journal, with its tab; see `recorder.model.filters`.
        history: Filters typed so far, as they were typed, oldest first.
    """

    view: str = ""
    words: tuple[str, ...] = ()
    history: tuple[str, ...] = ()

    def bounded(self) -> "Remembered":
        """Return as much of it as is kept: no filter half, and of the filters typed the last."""
        fits = len(self.words) <= _MOST_WORDS and all(len(word) <= _LONGEST for word in self.words)
        history = [filter for filter in self.history if len(filter) <= _LONGEST]
        return dataclasses.replace(
            self, words=self.words if fits else (), history=tuple(history[-_MOST_FILTERS:])
        )


def recall(path: Path, identity: str) -> Remembered:
    """Return the state that was kept for a journal, or that of the first time.

    Args:
        path: The journal's file.
        identity: The journal's own name: another one at the same path has none of it.
    """
    with suppress(*_NO_FILE, ValueError, KeyError, TypeError):
        kept = _file(path, identity)
        if kept.is_file():  # to read a pipe would take for ever
            with kept.open("rb") as file:
                return _read(json.loads(file.read(_MOST_BYTES)))
    return Remembered()


def remember(path: Path, identity: str, state: Remembered) -> None:
    """Keep the state for a journal, and drop that of journals not looked at for long."""
    with suppress(*_NO_FILE):
        file = _file(path, identity)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, suffix=".new")  # private from the beginning
        with os.fdopen(descriptor, "w", encoding="utf-8") as written:
            json.dump(dataclasses.asdict(state.bounded()), written)
        Path(name).replace(file)
        for old in sorted(_files(file.parent), reverse=True)[_MOST_JOURNALS:]:
            old[1].unlink()


def forget(path: Path, identity: str) -> None:
    """Drop what was kept for a journal: filters may name a profile that is to be forgotten."""
    with suppress(*_NO_FILE):
        _file(path, identity).unlink(missing_ok=True)


def _file(path: Path, identity: str) -> Path:
    folder = os.environ.get("XDG_STATE_HOME", "")
    home = Path(folder) if Path(folder).is_absolute() else Path.home() / ".local" / "state"
    name = hashlib.sha256(f"{identity}\0{path.resolve()}".encode("utf-8", "surrogateescape")).hexdigest()
    return home / "restante" / f"{name[:32]}.json"


def _files(folder: Path) -> Iterator[tuple[float, Path]]:
    for pattern in ("*.json", "*.new"):
        for file in folder.glob(pattern):
            yield file.stat().st_mtime, file


def _read(found: Any) -> Remembered:
    view, words, history = (found[field.name] for field in dataclasses.fields(Remembered))
    if not all(isinstance(text, str) for text in (view, *words, *history)):
        raise ValueError("not what `remember` writes")
    return Remembered(view, tuple(words), tuple(history)).bounded()
