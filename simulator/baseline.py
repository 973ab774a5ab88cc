"""What is left of a profile's messages once they are pruned: the fold that the recorder finds by its entry point. Pure.

The recorder does not import the simulator: it asks the entry points of the group ``restante.fold``. Folded is by
the default `Dialect`, as the messages are gone afterwards.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from recorder.model.json_value import compact
from simulator.dialect import Dialect
from simulator.outcomes import Verdict
from simulator.semantics import apply_message

__all__ = ["Folded", "fold"]

_DIALECT = Dialect()


class Folded(NamedTuple):
    """A profile after messages were folded into it.

    Attributes:
        properties: As JSON; None where there is no such profile in the end.
        partly_known: Whether an operator outside the vocabulary was among the messages.
        came: The place of the message that made the profile come to be, the last one where several did; None where
            it was there all the time, or never.
    """

    properties: str | None
    partly_known: bool
    came: int | None


def fold(properties: str | None, messages: Sequence[str]) -> Folded:
    """Apply a profile's messages to what was folded before.

    Args:
        properties: As JSON; None where there is no such profile.
        messages: As JSON, in order.

    >>> fold('{"visits":1}', ['{"$distinct_id":"ada","$add":{"visits":2}}'])
    Folded(properties='{"visits":3}', partly_known=False, came=None)
    >>> fold(None, ['{"$distinct_id":"ada","$set":{"plan":"pro"}}', '{"$distinct_id":"ada","$merge":{}}'])
    Folded(properties='{"plan":"pro"}', partly_known=True, came=0)
    """
    held = None if properties is None else json.loads(properties)
    partly_known, came = False, None
    for place, message in enumerate(messages):
        absent = held is None
        held, outcomes = apply_message(held, json.loads(message), _DIALECT)
        if absent and held is not None:
            came = place
        partly_known |= any(outcome.verdict is Verdict.NOT_SIMULATED for outcome in outcomes)
    return Folded(None if held is None else compact(held), partly_known, came)
