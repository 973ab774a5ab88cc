"""Limits of a journal: how large it may grow, and how long shipped entries stay.

They are stored in the journal, and whoever opens it follows them: `restante ship` prunes nothing that the app wants
to keep. A limit that was never set has a default.
"""

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

__all__ = ["Limits", "check"]

# The tables, the log and the shipper's reserve need some of it.
_LEAST = {"max_bytes": 2_000_000}
_MOST = 2**53


class Limits(NamedTuple):
    """The limits of a journal; None is no limit.

    Attributes:
        max_bytes: How large it may grow, its write-ahead log included.
        keep_shipped_days: How long shipped entries stay for inspection.
        keep_shipped_entries: How many shipped entries stay at most.

    >>> Limits().keep_shipped_days
    7
    """

    max_bytes: float | None = None
    keep_shipped_days: float | None = 7
    keep_shipped_entries: float | None = 100_000


def check(limits: Mapping[str, object]) -> None:
    """Check limits that a caller gives.

    Raises:
        ValueError: One is out of range.
    """
    for name, value in limits.items():
        least = _LEAST.get(name, 0)
        if value is None or value == inf:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < _MOST:
            raise ValueError(f"{name} must be at least {least:,}, not {value!r}")
