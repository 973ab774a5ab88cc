"""Closing of open journals before a fork, and reopening after it.

SQLite keeps its POSIX locks by process: a child has none of the locks that its copy of SQLite believes to have, so
a parent that closes its journal would delete the log while the child records into it. Only a file that is not open
anywhere in the process survives a fork.
"""

import contextlib
import os
import threading
import weakref
from collections.abc import Callable
from typing import Protocol

__all__ = ["Forking", "at_forks", "opening"]

opening = threading.RLock()
"""Held while a file is being opened, so that no fork begins. Take it after a member's own lock, never before."""


class Forking(Protocol):
    """A member: an object that is called at every fork."""

    def before_fork(self) -> None:
        """Close the file, and let nobody open it before the fork is over."""

    def after_fork_in_parent(self) -> None:
        """Resume, in the parent."""

    def after_fork_in_child(self) -> None:
        """Begin anew: threads that held locks do not exist in a child."""


class _Forks:
    """The members, and the fork that is under way: one at a time, for two threads may fork at once."""

    def __init__(self) -> None:
        self.members: weakref.WeakSet[Forking] = weakref.WeakSet()
        self._one_at_a_time = threading.RLock()
        self._depth = 0  # a signal handler may fork in the middle of a fork
        self._ready: list[Forking] = []
        self._opening = False  # this fork keeps files from being opened

    def before(self) -> None:
        self._one_at_a_time.acquire()
        self._depth += 1
        if self._depth > 1:
            return
        self._prepare(list(self.members))
        self._opening = opening.acquire()
        self._prepare([member for member in self.members if member not in self._ready])  # opened meanwhile

    def _prepare(self, members: list[Forking]) -> None:
        for member in members:
            member.before_fork()
            self._ready.append(member)

    def after_in_parent(self) -> None:
        self._after(lambda member: member.after_fork_in_parent())

    def after_in_child(self) -> None:
        # Nobody hears of a fork inside a fork: in that child, members that were half prepared refuse calls.
        self._after(lambda member: member.after_fork_in_child())

    def _after(self, call: Callable[[Forking], None]) -> None:
        # Python prints what a hook raises, and goes on: after Ctrl-C in the middle of `before`, whatever was prepared
        # is released. A server written in C, such as uWSGI, may call the hook of the child only.
        if self._depth == 0:
            return
        if self._depth == 1:
            if self._opening:
                opening.release()
            self._opening = False
            for member in self._ready:
                with contextlib.suppress(Exception):  # whatever one raises, the others are released
                    call(member)
            self._ready.clear()
        self._depth -= 1
        self._one_at_a_time.release()


_forks = _Forks()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_forks.before, after_in_parent=_forks.after_in_parent, after_in_child=_forks.after_in_child
    )


def at_forks(member: Forking) -> None:
    """Call a member at forks for as long as it lives; the caller holds `opening`."""
    _forks.members.add(member)
