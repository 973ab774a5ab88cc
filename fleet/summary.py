"""Summary of each profile in one journal: what its shipped entries make of each property, and what is unsure. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.rows import ProfileRow, Touched, Written, to_text
from recorder.model.dialect import of_recorded
from recorder.model.entries import UNSENT, State
from recorder.model.operations import Operator
from recorder.model.semantics import Properties, operate

__all__ = ["Summary"]

_DIALECT = of_recorded()
_KNOWN = frozenset(Operator)
_FIXING = frozenset({Operator.SET.value, Operator.UNSET.value, Operator.DELETE.value})
_DELETE = Operator.DELETE.value
_MOST_WITNESSES = 2


class _Property:
    """A property, as far as it was read."""

    __slots__ = ("entries", "fixed", "unsure")

    def __init__(self) -> None:
        self.entries: dict[str, list[tuple[int, Any]]] = {}
        self.fixed = False
        self.unsure = False

    def note(self, seq: int, operator: str, value: Any) -> None:
        kept = self.entries.get(operator)
        if kept is None:
            self.entries[operator] = [(seq, value)]
        elif len(kept) < _MOST_WITNESSES and kept[0][1] != value:
            kept.append((seq, value))


class Summary:
    """A profile, entry by entry.

    Args:
        before: What its pruned entries made of it; None if there are none, or no profile was left.
        pruned: Entries of it were pruned.
        unsure: Something about it is not known.
        begins: The journal knows its beginning.
    """

    __slots__ = ("_begins", "_deleted", "_properties", "_pruned", "_touched", "deletes", "unsure")

    def __init__(
        self,
        before: Mapping[str, Any] | None = None,
        *,
        pruned: bool = False,
        unsure: bool = False,
        begins: bool = True,
    ) -> None:
        self._properties: Properties | None = None if before is None else dict(before)
        self._pruned = pruned
        self._begins = begins
        self._touched: dict[str, _Property] = {}
        self._deleted = 0
        self.deletes = pruned and before is None
        self.unsure = unsure
        for name in before or ():
            self._touched[name] = _Property()

    def shipped(self, seq: int, operator: str, payload: Any) -> None:
        """Apply an entry that was shipped."""
        if operator == _DELETE:
            self.deletes, self._properties = True, None
            self._deleted = self._deleted or seq
            for each in self._touched.values():
                each.fixed = True
            return
        if operator not in _KNOWN:
            self.unsure = True
            return
        self._properties, _ = operate(self._properties, operator, payload, _DIALECT)
        fixes = operator in _FIXING
        for name, value in _written(payload):
            touched = self._of(name)
            touched.note(seq, operator, value)
            if fixes:
                touched.fixed = True

    def perhaps(self, operator: str | None, payload: Any) -> None:
        """Note an entry that may have been applied, or may be once it is sent."""
        if operator == _DELETE:
            self.deletes = True
        if operator not in _KNOWN or operator == _DELETE:
            self.unsure = True
            return
        for name, _ in _written(payload):
            self._of(name).unsure = True

    def entry(
        self, seq: int, state: str, operator: str | None, payload: Any, *, sends: int, twice: bool
    ) -> None:
        """Take an entry in any state.

        Args:
            seq: Its number.
            state: Its state.
            operator: Such as ``$set``.
            payload: Its payload.
            sends: Requests that carried it and may have been applied.
            twice: It may have been applied twice.
        """
        if state == State.SHIPPED and operator is not None:
            self.shipped(seq, operator, payload)
            if twice:
                self.perhaps(operator, payload)
        elif state in UNSENT or sends:
            self.perhaps(operator, payload)

    def _of(self, name: str) -> _Property:
        touched = self._touched.get(name)
        if touched is None:
            touched = self._touched[name] = _Property()
            touched.fixed = bool(self._deleted)
        return touched

    def row(self, file: str, identity: str | None, token: str | None, profile: str) -> ProfileRow:
        """Return the profile's row, without its counter and its runs in doubt."""
        touched = dict(self._properties_touched())
        return ProfileRow(
            file,
            identity,
            token,
            profile,
            deleted=self._deleted,
            deletes=self.deletes,
            unsure=self.unsure,
            begins=self._begins,
            pruned=self._pruned,
            touched=to_text(touched),
        )

    def _properties_touched(self) -> Iterator[tuple[str, Touched]]:
        properties = self._properties or {}
        for name, each in self._touched.items():
            entries = [Written(seq, op, value) for op, kept in each.entries.items() for seq, value in kept]
            operators = sorted(each.entries)
            value = [properties[name]] if name in properties else []
            yield name, Touched(operators, each.unsure, each.fixed, value, entries)


def _written(payload: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(payload, Mapping):
        yield from payload.items()
    elif isinstance(payload, list):
        for name in payload:
            yield name, None
