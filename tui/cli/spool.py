"""Spool files: input that was read and validated whole before any of it is journaled.

``<journal>.spool-<name>`` holds some rows a line. While it is being written it ends in ``.part``; what is left
of a writer that died then was never journaled. A finished one is journaled in commits that note, in the
journal itself, how many of its rows are done, so that a process killed in between neither loses one nor
repeats one.
"""

import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from filelock import FileLock, Timeout

from recorder import Journal, JournalError
from recorder.model.entries import NewEntry

__all__ = [
    "COMMIT_ROWS",
    "finished_spools",
    "journal_spool",
    "left_behind",
    "resume",
    "side_files",
    "written_spool",
]

COMMIT_ROWS = 10_000

_ROWS_A_LINE = 200

_FORMAT = "restante spool 1\n"
_MARK = ".spool-"
_PART = ".part"
_LOCK = ".lock"


@contextmanager
def _held(spool: Path) -> Iterator[bool]:
    """This process's hold on a spool file; False where another process is at it."""
    lock = FileLock(side_files(spool)[1], mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def left_behind(journal: Path) -> list[Path]:
    """Finished spool files that no process is at, oldest first.

    Unfinished ones of dead processes are removed: nothing of them was journaled.
    """
    found = []
    for path in sorted(_spools(journal), key=_age):
        with _held(_finished(path)) as ours:
            if not ours or not path.exists():
                continue
            if path.suffix == _PART:
                _remove(path)
            else:
                found.append(path)
    return found


def finished_spools(journal: Path) -> list[Path]:
    """Finished spool files that are not journaled whole, whether a process is at them or not; only looks."""
    return [path for path in _spools(journal) if path.suffix != _PART]


def _spools(journal: Path) -> list[Path]:
    """Spool files, finished or not, without the locks beside them."""
    files = journal.parent.glob(f"{_escaped(journal.name)}{_MARK}*")
    return [path for path in files if path.suffix != _LOCK]


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _finished(path: Path) -> Path:
    return path.with_suffix("") if path.suffix == _PART else path


def side_files(spool: Path) -> tuple[Path, Path]:
    """A spool file, and the lock beside it."""
    return spool, _finished(spool).with_name(_finished(spool).name + _LOCK)


def _remove(spool: Path) -> None:
    for file in side_files(spool):
        file.unlink(missing_ok=True)


@contextmanager
def written_spool(journal: Path, rows: Iterable[NewEntry]) -> Iterator[Path]:
    """A finished spool file of these rows, held while the block runs.

    Where reading the rows raises, nothing stays behind.
    """
    spool = journal.with_name(f"{journal.name}{_MARK}{secrets.token_hex(6)}")
    part = spool.with_name(spool.name + _PART)
    with _held(spool):
        try:
            _write(part, rows)
        except OSError as error:
            _remove(part)
            raise JournalError(
                f"{part} cannot be written: {error.strerror}", hint="Nothing was journaled."
            ) from error
        except BaseException:
            _remove(part)
            raise
        part.rename(spool)
        yield spool


def _write(part: Path, rows: Iterable[NewEntry]) -> None:
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123  # a descriptor, for its mode
        file.write(_FORMAT)
        dump = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
        file.writelines(f"{dump(several)}\n" for several in _several(rows, _ROWS_A_LINE))
        file.flush()
        os.fsync(file.fileno())


def _several(rows: Iterable[NewEntry], number: int) -> Iterator[list[NewEntry]]:
    remaining = iter(rows)
    while several := list(islice(remaining, number)):
        yield several


def journal_spool(journal: Journal, spool: Path) -> Iterator[int]:
    """Journal a finished spool file from where it stands, and remove it; yields how many rows are done."""
    done = journal.spooled(spool.name)
    with spool.open(encoding="utf-8", newline="\n") as file:
        if file.readline() != _FORMAT:
            raise JournalError(
                f"{spool} was written by another version of restante", hint="Finish it with that version."
            )
        rows = (NewEntry(*row) for line in file for row in json.loads(line))
        for batch in _several(islice(rows, done, None), COMMIT_ROWS):
            done += len(batch)
            journal.append(batch, spool=(spool.name, done))
            yield done
    # In this order: a file without its note would be journaled again from the start.
    _remove(spool)
    journal.forget_spool(spool.name)


def resume(journal: Journal, spool: Path) -> Iterator[int]:
    """Journal what is left of a spool file that a killed process left behind."""
    with _held(spool) as ours:
        if ours and spool.exists():
            yield from journal_spool(journal, spool)
