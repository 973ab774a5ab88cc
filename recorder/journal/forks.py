"""What holds a journal's file open lets go of it before the process forks, and opens it again after.

SQLite keeps its POSIX locks by process: a child has none of the locks that its copy of SQLite believes to
hold, so that a parent closing its journal would take the log away from under what the child records. Only a
file that is not open anywhere in the process survives a fork.
"""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Protocol

__all__ = ["Forking", "at_forks", "opening"]


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

_one_at_a_time = threading.RLock()
_depth = 0  # a signal handler may fork in the middle of a fork
_members: "weakref.WeakSet[Forking]" = weakref.WeakSet()
_told: list[Forking] = []


def at_forks(member: Forking) -> None:
    """Tell this one of forks, for as long as it lives; called while `opening` is held."""
    _members.add(member)


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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
