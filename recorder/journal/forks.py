"""What holds a journal's file open lets go of it before the process forks, and opens it again after.

SQLite keeps its POSIX locks by process: a child has none of the locks that its copy of SQLite believes to
hold, so that a parent closing its journal would take the log away from under what the child records. Only a
file that is not open anywhere in the process survives a fork.
"""

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Protocol

__all__ = ["Forking", "at_forks", "importing", "opening"]


class Forking(Protocol):
    """What is told of forks."""

    def before_fork(self) -> None:
        """Let go of the file, and let nobody open it before the fork is over."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Begin anew: threads that held locks are not here any more."""


opening = threading.RLock()
"""Held while a file is being opened: no fork meanwhile. Always taken after a member's own lock, never before."""

_PATIENCE = 5.0  # seconds

_importing = threading.RLock()
_before_logging = False  # whether a hook of ours runs before logging's
_one_at_a_time = threading.RLock()
_depth = 0  # a signal handler may fork in the middle of a fork
_members: "weakref.WeakSet[Forking]" = weakref.WeakSet()
_told: list[Forking] = []


def at_forks(member: Forking) -> None:
    """Tell this one of forks, for as long as it lives; called while `opening` is held."""
    _members.add(member)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Import something late: no fork meanwhile. Never under the lock of a member, for which a fork waits anyway.

    The thread that imports is not there in a child, which would wait for ever for that import to be over. But a fork
    waits for a while only: what is imported may need a lock that another's hook holds while forks are under way.
    """
    global _before_logging  # noqa: PLW0603  # forks are the process's
    with _importing:
        if not _before_logging:
            # Most of what is imported late asks for a logger, and logging's hook holds the lock that this needs.
            # The hook that was registered last is the first to run before a fork.
            import logging  # noqa: F401

            _register_imports()
            _before_logging = True
        yield


def _before() -> None:
    global _depth  # noqa: PLW0603  # forks are the process's
    _one_at_a_time.acquire()  # two threads may fork at once
    _depth += 1
    if _depth > 1:
        return
    _tell(list(_members))
    opening.acquire()
    _tell([member for member in _members if member not in _told])  # opened meanwhile


def _tell(members: list[Forking]) -> None:
    for member in members:
        member.before_fork()
        _told.append(member)


def _after_in_parent() -> None:
    _after(lambda member: member.after_fork_in_parent())


def _after_in_child() -> None:
    # Of a fork inside a fork nobody is told: what is half let go of refuses calls in that child.
    _after(lambda member: member.after_fork_in_child())


def _after(tell: Callable[[Forking], None]) -> None:
    global _depth  # noqa: PLW0603  # see _before
    if _depth == 1:
        opening.release()
        for member in _told:
            tell(member)
        _told.clear()
    _depth -= 1
    _one_at_a_time.release()


def _wait_for_imports() -> None:
    _importing.acquire(timeout=_PATIENCE)


def _go_on_importing() -> None:
    with contextlib.suppress(RuntimeError):  # it was not waited for to the end
        _importing.release()


def _import_in_child() -> None:
    global _importing  # noqa: PLW0603  # see importing
    try:
        _importing.release()
    except RuntimeError:  # whoever imported is not here
        _importing = threading.RLock()


def _register_imports() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_wait_for_imports, after_in_parent=_go_on_importing, after_in_child=_import_in_child
        )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
_register_imports()
