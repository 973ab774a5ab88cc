"""`Writers`: the messages that made one property, found by watching it change. Pure.

`recorder.model.semantics` applies the operations. List elements are tracked by place: an append adds at the end, and
other operations keep the order of what they keep.
"""

from typing import Any

from recorder.model.dialect import Dialect
from recorder.model.json_value import same_spelling
from recorder.model.normalise import Message
from recorder.model.operations import Operator, operators_of, split
from recorder.model.outcomes import Verdict
from recorder.model.semantics import Properties, apply_message
from simulator.difference import ABSENT

__all__ = ["Writers"]


class Writers:
    """The messages, by number, that made a property what it is.

    Args:
        name: The property.
        dialect: Policies for what the service does not document.
        properties: The profile before the first message, written by message 0; it is changed.

    Attributes:
        since: The messages that wrote it since it was last overwritten whole, oldest first; empty if absent.
        elements: The writer of each element of a list; None for any other value.
        gone: The message that last removed it, and with which operator; None if none did.

    >>> writers = Writers("tags", Dialect())
    >>> for n, payload in enumerate([{"$append": {"tags": "a"}}, {"$union": {"tags": ["a", "b"]}}], 1):
    ...     writers.take(n, {"$distinct_id": "ada", **payload})
    >>> writers.since, writers.elements
    ([1, 2], [1, 2])
    """

    __slots__ = ("_dialect", "_name", "_properties", "elements", "gone", "since")

    def __init__(self, name: str, dialect: Dialect, properties: Properties | None = None) -> None:
        self._name = name
        self._dialect = dialect
        self._properties = properties
        present = self.value
        self.since: list[int] = [] if present is ABSENT else [0]
        self.elements: list[int] | None = [0] * len(present) if isinstance(present, list) else None
        self.gone: tuple[int, str] | None = None

    @property
    def value(self) -> Any:
        """The property's value, `ABSENT` if there is none; not to be changed."""
        return ABSENT if self._properties is None else self._properties.get(self._name, ABSENT)

    def take(self, number: int, message: Message) -> None:
        """Apply the next message, and note what it wrote."""
        operators = operators_of(message)
        if len(operators) == 1:
            self._operate(number, operators[0], message)
            return
        # Validity does not depend on the profile.
        _, outcomes = apply_message(None, message, self._dialect)
        for outcome, single in zip(outcomes, split(message, operators), strict=False):  # none: one rejection
            if outcome.verdict is not Verdict.REJECTED:
                self._operate(number, outcome.operator, single)

    def _operate(self, number: int, operator: str, message: Message) -> None:
        before = self.value
        # Operations change lists in place; only a union that collapses duplicates moves elements.
        length = len(before) if isinstance(before, list) else 0
        if operator == Operator.UNION and self._dialect.union_duplicates == "collapse" and length:
            before = list(before)
        self._properties, (outcome,) = apply_message(self._properties, message, self._dialect)
        payload = message[operator]
        if outcome.verdict is Verdict.APPLIED and (operator == Operator.DELETE or self._name in payload):
            self._note(number, operator, before, length)

    def _note(self, number: int, operator: str, before: Any, length: int) -> None:
        after = self.value
        if after is ABSENT:
            if before is not ABSENT:
                self.since, self.elements, self.gone = [], None, (number, operator)
        elif operator in _WHOLE:
            if not same_spelling(before, after):
                self.since = [number]
                self.elements = [number] * len(after) if isinstance(after, list) else None
        elif operator == Operator.ADD:
            if not same_spelling(before, after):
                was_number = isinstance(before, int | float) and not isinstance(before, bool)
                self.elements = None
                self._add_writer(number, afresh=not was_number)
        elif isinstance(after, list):
            self._note_elements(number, operator, before, after, length)

    def _note_elements(self, number: int, operator: str, before: Any, after: list[Any], length: int) -> None:
        if self.elements is None or before is ABSENT:
            self.elements = []
        moved = False
        if operator == Operator.REMOVE:
            moved = len(after) < length
            kept = _kept_last(before, after) if moved else []
        elif before is not after and before is not ABSENT:
            kept = _kept_first(before, after)
            moved = len(kept) < length
        if moved:
            self.elements = [self.elements[place] for place in kept]
        added = len(after) - len(self.elements)
        self.elements.extend([number] * added)
        if moved or added or before is ABSENT:
            self._add_writer(number, afresh=before is ABSENT)

    def _add_writer(self, number: int, *, afresh: bool) -> None:
        if afresh:
            self.since = [number]
        elif self.since[-1] != number:  # two operators of one message
            self.since.append(number)


_WHOLE = frozenset({Operator.SET, Operator.SET_ONCE})


def _kept_last(before: list[Any], after: list[Any]) -> list[int]:
    """Return the places of what a removal kept, found from the end: of equal elements the first ones go."""
    places = []
    place = len(before)
    for value in reversed(after):
        place -= 1
        while not _same(before[place], value):
            place -= 1
        places.append(place)
    return places[::-1]


def _kept_first(before: list[Any], after: list[Any]) -> list[int]:
    """Return the places of what a collapse kept, found from the start: of equal elements the later ones go."""
    places: list[int] = []
    for place, value in enumerate(before):
        if len(places) < len(after) and _same(value, after[len(places)]):
            places.append(place)
    return places


def _same(left: Any, right: Any) -> bool:
    return left is right or same_spelling(left, right)
