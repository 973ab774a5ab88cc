"""Counted adds: each update that adds also adds 1 to a counter of this journal, so that profiles tell of it. Pure.

The service knows no repeated update. But a profile that holds how many of a journal's additions were applied to it
says, after a request without an answer, which of them were; see `recorder.model.told`. Objects appended as charges
carry their entry's number instead.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from recorder.model.hazards import Update
from recorder.model.json_value import compact
from recorder.model.operations import Operator

__all__ = ["FENCE", "MARK", "Counting"]

MARK = "restante"
"""Key of an appended object's mark."""

FENCE = "_fence"
"""End of the name of a fence: the counter's name comes before it."""

_CHARGES = "$transactions"
_ADD = f'"{Operator.ADD}":{{'
_CHARGE = f'"{Operator.APPEND}":{{"{_CHARGES}":{{'
_WITH_OBJECTS = " objects"


class Counting(NamedTuple):
    """The way in which requests are counted.

    Attributes:
        counter: Name of the property that counts.
        identity: The journal's.
        objects: All appended objects are marked, not charges alone.

    >>> counting = Counting("restante_3af6e1c3", "3af6")
    >>> counting.written(7, '{"$distinct_id":"ada","$add":{"visits":1}}')
    '{"$distinct_id":"ada","$add":{"restante_3af6e1c3":1,"visits":1}}'
    >>> counting.written(8, '{"$distinct_id":"ada","$append":{"$transactions":{"$amount":5}}}')
    '{"$distinct_id":"ada","$append":{"$transactions":{"restante":"3af6-8","$amount":5}}}'
    """

    counter: str
    identity: str
    objects: bool = False

    @classmethod
    def read(cls, kept: str, identity: str) -> "Counting":
        """Return what an attempt has kept of it."""
        return cls(kept.removesuffix(_WITH_OBJECTS), identity, kept.endswith(_WITH_OBJECTS))

    @property
    def kept(self) -> str:
        """The text that an attempt keeps of it; see `read`."""
        return self.counter + _WITH_OBJECTS * self.objects

    @property
    def fence(self) -> str:
        """Name of the property that shows how old a reading of the profile is."""
        return self.counter + FENCE

    def mark(self, seq: int) -> str:
        """Return the mark of the objects that an entry appends."""
        return f"{self.identity}-{seq}"

    def counts(self, update: Update) -> bool:
        """Return True for an update that adds to the counter."""
        return update.operator == Operator.ADD and isinstance(update.payload, Mapping)

    def marked(self, update: Update) -> tuple[str, ...]:
        """Return the properties to whose lists an update appends a marked object."""
        if update.operator != Operator.APPEND or not isinstance(update.payload, Mapping):
            return ()
        return tuple(
            name
            for name, value in update.payload.items()
            if (self.objects or name == _CHARGES) and isinstance(value, Mapping) and MARK not in value
        )

    def shows(self, update: Update) -> bool:
        """Return True for an update of which the profile tells whether it was applied."""
        return self.counts(update) or bool(self.marked(update))

    def written(self, seq: int, text: str) -> str:
        """Return an entry's message as it is sent, counted or marked.

        Most messages are spliced: parsing and writing each takes ten times as long.
        """
        if _ADD in text:
            at = _spot(text, _ADD)
            if at and text[at] != "}" and self.counter not in text:
                return f'{text[:at]}"{self.counter}":1,{text[at:]}'
        elif _CHARGE in text:
            at = _spot(text, _CHARGE)
            if at and not self.objects and text[at] != "}" and f'"{MARK}"' not in text:
                return f'{text[:at]}"{MARK}":"{self.mark(seq)}",{text[at:]}'
        elif f'"{Operator.APPEND}":' not in text and f'"{Operator.ADD}":' not in text:
            return text
        return self._rewritten(seq, text)

    def unwritten(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return a message as it was before it was counted; None for one that was only sent to be read.

        >>> counting = Counting("restante_3af6e1c3", "3af6")
        >>> counting.unwritten({"$distinct_id": "ada", "$add": {"visits": 1, "restante_3af6e1c3": 1}})
        {'$distinct_id': 'ada', '$add': {'visits': 1}}
        """
        match message:
            case {"$add": dict() as numbers} if self.counter in numbers:
                rest = {name: number for name, number in numbers.items() if name != self.counter}
                return {**message, "$add": rest} if numbers[self.counter] else None
            case {"$set": dict() as properties} if {*properties} == {self.fence}:
                return None
            case {"$append": dict() as values}:
                return {**message, "$append": {name: self._unmarked(value) for name, value in values.items()}}
        return message

    def _unmarked(self, value: Any) -> Any:
        if isinstance(value, Mapping) and str(value.get(MARK)).startswith(f"{self.identity}-"):
            return {name: member for name, member in value.items() if name != MARK}
        return value

    def _rewritten(self, seq: int, text: str) -> str:
        message: dict[str, Any] = json.loads(text)
        if isinstance(message.get(Operator.ADD), dict):
            numbers = message[Operator.ADD]
            message[Operator.ADD] = {**numbers, self.counter: numbers.get(self.counter, 0) + 1}
        elif names := self.marked(Update.of(Operator.APPEND, message)):
            values = message[Operator.APPEND]
            marked = {name: {MARK: self.mark(seq), **values[name]} for name in names}
            message[Operator.APPEND] = {**values, **marked}
        else:
            return text
        return compact(message)


def _spot(text: str, key: str) -> int:
    """Return where a payload begins; 0 if a text may contain the key elsewhere than at the message's top."""
    at = text.index(key)
    before = text[1:at]
    return 0 if "{" in before or "[" in before or text[at - 1] not in ",{" else at + len(key)
