"""Policy of shipping: sizes, pace, and entries in doubt. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from recorder.model.json_value import MAX_UPDATE_BYTES
from recorder.model.shipping import Counted, InDoubt, ShipperStatus

__all__ = ["ShippingPolicy", "completed"]

MOST_UPDATES = 2_000  # the service's documented limit of a request


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingPolicy:
    """Policy of shipping.

    Attributes:
        in_doubt: The fate of *hazardous* entries in doubt, those that may be applied twice when sent again
            (see `recorder.model.hazards`). ``"resend"``: sent again, at least once, and counted as possibly twice.
            ``"hold"``: kept in doubt until a person retries or discards them; later entries of their profile
            wait behind them. ``"drop"``: discarded, at most once, with those that share a property with them.
            Harmless ones are sent again under each. Held entries stay held under every later policy, until a
            person decides; entries to be sent again follow the policy of the next shipper.
        settle_after: Seconds that profiles wait after an unknown outcome before anything of theirs is
            sent: a late first copy must not land on top of later entries. The service promises no such
            limit; longer is safer.
        linger: Seconds that background shipping waits, after something was recorded, for more to send with it.
            `Recorder.flush` and `Shipper.ship` do not wait.
        batch_updates: Most updates in a request, from 1 to 2,000, which is the service's limit. Requests begin with
            200 and grow while they take less than five seconds.
        batch_bytes: Most bytes in a request, which carries what the line takes in five seconds. An update that
            is larger travels alone.
        fold: A profile's entries may be sent as fewer updates with the same result, when they are sent for
            the first time; see `recorder.journal.folding`. Entries stay as they were recorded. A sum on a
            float may differ by rounding.
        counted: Each ``$add`` to a user's profile also adds 1 to a counter of this journal, and each charge carries
            its entry's number, so that `Journal.settle` can read from the profile which entries in doubt were
            applied; ``"objects"`` marks other appended objects, too. Requires ``in_doubt="hold"``. The profile
            gets a property of the name ``restante_…`` more.
        updates_per_second: A drain goes no faster than this; None for no limit.

    Raises:
        ValueError: A value is out of range.

    >>> ShippingPolicy(batch_updates=50, in_doubt="hold").in_doubt
    'hold'
    """

    in_doubt: InDoubt = "resend"
    settle_after: float = 30.0
    fold: bool = False
    counted: Counted = False
    linger: float = 0.5
    batch_updates: int = MOST_UPDATES
    batch_bytes: int = MAX_UPDATE_BYTES
    updates_per_second: float | None = None

    def __post_init__(self) -> None:
        if self.in_doubt not in get_args(InDoubt):
            raise ValueError(f"in_doubt must be one of {', '.join(get_args(InDoubt))}, not {self.in_doubt!r}")
        if self.counted not in {False, True, "objects"}:
            raise ValueError(f"counted must be True, False or 'objects', not {self.counted!r}")
        if self.counted and self.in_doubt != "hold":
            raise ValueError(
                f"in_doubt must be 'hold' if counted is {self.counted!r}, not {self.in_doubt!r}: "
                "what is sent again or given up without asking would make the count wrong"
            )
        if not 0 <= self.settle_after <= _A_DAY:
            raise ValueError(f"settle_after must be from 0 to {_A_DAY:,} seconds, not {self.settle_after!r}")
        if not 0 <= self.linger <= _A_MINUTE:
            raise ValueError(f"linger must be from 0 to {_A_MINUTE} seconds, not {self.linger!r}")
        if not 1 <= self.batch_updates <= MOST_UPDATES:
            raise ValueError(f"batch_updates must be from 1 to {MOST_UPDATES:,}, not {self.batch_updates!r}")
        if self.batch_bytes < 1:
            raise ValueError(f"batch_bytes must be at least 1, not {self.batch_bytes!r}")
        if self.updates_per_second is not None and not self.updates_per_second > 0:
            raise ValueError(
                f"updates_per_second must be more than 0, or None, not {self.updates_per_second!r}"
            )


def completed(given: Mapping[str, Any], last: ShipperStatus) -> ShippingPolicy:
    """Return the policy given, completed from the last shipper's: nobody resends by hand what an app holds.

    Raises:
        ValueError: A value is out of range, or does not go with another.

    >>> completed({}, ShipperStatus(in_doubt="hold", counted=True)).counted
    True
    """
    counted = given.get("counted", last.counted)
    if counted and last.counted:
        counted = last.counted  # maybe "objects", which an app chose
    kept = {"in_doubt": "hold" if counted else last.in_doubt, "settle_after": last.settle_after}
    known = {name: value for name, value in kept.items() if value is not None}
    return ShippingPolicy(**{**known, **given, "counted": counted})


_A_MINUTE = 60
_A_DAY = 86_400
