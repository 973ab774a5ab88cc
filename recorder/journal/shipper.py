"""The table `shipper`, of one row: who ships, with which policy, and where the journal was then."""

import os
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from recorder.journal import project
from recorder.journal.copies import Home, copy_reason, current_home
from recorder.model.policy import ShippingPolicy
from recorder.model.shipping import InDoubt

__all__ = ["TakeOver", "epoch", "home", "last", "next_epoch", "take_over"]

_HOME = "SELECT machine, path, inode, identity FROM shipper, project"
_SHIPPER = """
SELECT epoch, service, counted,
       EXISTS (SELECT 1 FROM open_attempt) OR (SELECT entries FROM counters WHERE account = 'in_doubt'),
       machine, path, inode, identity
  FROM shipper, project
"""
_TAKE_OVER = """
UPDATE shipper SET epoch = ?, pid = ?, seen_at = ?, service = coalesce(nullif(?, ''), service),
                   in_doubt = ?, settle_after = ?, counted = ?,
                   machine = ?, path = ?, inode = ?, moved_at = CASE WHEN ? THEN ? ELSE moved_at END
"""
_LAST = """
SELECT pid, max(seen_at, coalesce((SELECT coalesce(ended_at, started_at) FROM attempts ORDER BY id DESC LIMIT 1), 0)),
       nullif(service, ''), in_doubt, settle_after, counted FROM shipper
"""
_EPOCH = "SELECT epoch FROM shipper"
_NEXT_EPOCH = "UPDATE shipper SET epoch = epoch + 1 RETURNING coalesce(settle_after, ?)"


def home(connection: sqlite3.Connection) -> tuple[str, Home | None]:
    """Return the journal's identity, and where it was shipped last; None if it never was."""
    *place, identity = connection.execute(_HOME).fetchone()
    return identity, _home(*place)


def _home(machine: str | None, path: str | None, inode: int | None) -> Home | None:
    return None if path is None else Home(machine or "", path, inode or 0)


def last(
    connection: sqlite3.Connection,
) -> tuple[int | None, float | None, str | None, InDoubt | None, float | None, int | None]:
    """Return process, last act, service, and of the policy in_doubt, settle_after and counted, of the last shipper."""
    row: tuple[Any, ...] = connection.execute(_LAST).fetchone()
    return row


class TakeOver(NamedTuple):
    """Facts about a journal that a new shipper begins with.

    Attributes:
        epoch: Of the new shipper.
        new_service: The service is another one than before.
        unsettled: An attempt is open, or entries are in doubt.
    """

    epoch: int
    new_service: bool
    unsettled: bool


def take_over(
    connection: sqlite3.Connection, path: Path, now: float, *, service: str, policy: ShippingPolicy
) -> TakeOver:
    """Become the shipper, in a new epoch."""
    number, before, counted_before, unsettled, *place, identity = connection.execute(_SHIPPER).fetchone()
    here = current_home(path, identity)
    counted = 2 if policy.counted == "objects" else int(policy.counted)
    moved = copy_reason(_home(*place), here) is not None
    connection.execute(
        _TAKE_OVER,
        (
            *(number + 1, os.getpid(), now, service, policy.in_doubt, policy.settle_after, counted),
            *(*here, moved, now),
        ),
    )
    # A transport of an app's own may not say where it sends: then nothing is known to have changed.
    new_service = bool(service) and before not in {None, service}
    if new_service or (counted and counted_before == 0):
        project.renew_counter(connection)
    return TakeOver(number + 1, new_service, bool(unsettled))


def epoch(connection: sqlite3.Connection) -> int:
    """Return the epoch of the shipper that came last."""
    (number,) = connection.execute(_EPOCH).fetchone()
    return int(number)


def next_epoch(connection: sqlite3.Connection) -> float:
    """Begin an epoch without a shipper, and return the last one's `settle_after` in seconds."""
    (settle_after,) = connection.execute(_NEXT_EPOCH, (ShippingPolicy().settle_after,)).fetchone()
    return float(settle_after)
