"""Fold of messages that are about to be pruned into the profile they leave. Pure.

Always by the default `Dialect`, as the messages are gone afterwards.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from recorder.model.dialect import of_recorded
from recorder.model.json_value import compact
from recorder.model.outcomes import Verdict
from recorder.model.semantics import apply_message

__all__ = ["Folded", "fold"]

_DIALECT = of_recorded()


class Folded(NamedTuple):
    """A profile after messages were folded into it.

    Attributes:
        properties: As JSON; None if there is no such profile in the end.
        partly_known: True if an unknown operator was among the messages.
        created_by: Index of the last message that created the profile; None if none did.
    """

    properties: str | None
    partly_known: bool
    created_by: int | None


def fold(properties: str | None, messages: Sequence[str]) -> Folded:
    """Apply messages to a profile.

    Args:
        properties: As JSON; None for no such profile.
        messages: As JSON, in order.

    >>> fold('{"visits":1}', ['{"$distinct_id":"ada","$add":{"visits":2}}'])
    Folded(properties='{"visits":3}', partly_known=False, created_by=None)
    >>> fold(None, ['{"$distinct_id":"ada","$set":{"plan":"pro"}}', '{"$distinct_id":"ada","$merge":{}}'])
    Folded(properties='{"plan":"pro"}', partly_known=True, created_by=0)
    """
    profile = None if properties is None else json.loads(properties)
    partly_known, created_by = False, None
    for place, message in enumerate(messages):
        absent = profile is None
        profile, outcomes = apply_message(profile, json.loads(message), _DIALECT)
        if absent and profile is not None:
            created_by = place
        partly_known |= any(outcome.verdict is Verdict.NOT_SIMULATED for outcome in outcomes)
    return Folded(None if profile is None else compact(profile), partly_known, created_by)
