"""The screens' one door to the recorder: blocking reads for threads, and frozen data.

Every read is fetched whole, and no read transaction is left open, so that the writer can truncate its log
whoever looks on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from recorder import HttpTransport, JournalReader, ShipperStatus, Statistics
from tui.sentence import Shipping, shipping_of

__all__ = ["Facts", "Gateway"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """How the journal stands at one moment.

    Attributes:
        now: When, in seconds since the epoch.
        statistics: Its accounts.
        shipper: Who ships it.
        shipping: How that stands, in words.
    """

    now: float
    statistics: Statistics
    shipper: ShipperStatus
    shipping: Shipping


class Gateway:
    """One journal, for the browser.

    Args:
        path: The journal's file. It is never created.
        write: Whether actions may change it.
        clock: Seconds since the epoch; tests give a fixed one.
        transport: Where ``ship now`` sends to; None for the service's own address.

    Raises:
        JournalMissing, NotAJournal, JournalTooNew, JournalDamaged: There is nothing to read.
    """

    def __init__(
        self,
        path: Path,
        *,
        write: bool = False,
        clock: Callable[[], float] = time.time,
        transport: Callable[[], HttpTransport] = HttpTransport,
    ) -> None:
        self.write = write
        self.now = clock
        self._transport = transport
        self._reader = JournalReader(path, clock=clock)
        self.path = self._reader.path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def version(self) -> int:
        """A number that changes when another process, or an action here, has changed the journal."""
        return self._reader.version()

    def facts(self) -> Facts:
        """How the journal stands."""
        now = self.now()
        statistics, shipper = self._reader.counts(), self._reader.shipping()
        return Facts(
            now=now,
            statistics=statistics,
            shipper=shipper,
            shipping=shipping_of(statistics, shipper, now=now),
        )
