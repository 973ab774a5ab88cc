"""`Operation`: one operator with its payload, as tests write and strategies draw it."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from recorder.model.normalise import Message

__all__ = ["Operation"]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on any profile. Its repr is code that makes it again.

    Attributes:
        operator: Such as ``$add``.
        payload: The operator's payload, as JSON values; not to be changed.

    >>> Operation("$add", {"visits": 1})
    Operation(operator='$add', payload={'visits': 1})
    """

    operator: str
    payload: Any

    def on(self, id: str | int, *, group_key: str | None = None) -> Message:
        """Return a new message that applies it to a user's profile, or to a group's.

        >>> Operation("$add", {"visits": 1}).on("ada")
        {'$distinct_id': 'ada', '$add': {'visits': 1}}
        """
        whose = {"$distinct_id": id} if group_key is None else {"$group_key": group_key, "$group_id": id}
        return {**whose, self.operator: deepcopy(self.payload)}
