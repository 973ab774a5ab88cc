"""What came of holding what arrived against what was predicted: frozen results, and how they read. Pure."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from recorder.model.json_value import spell

__all__ = ["Comparison", "Divergence", "DivergenceKind", "Occurrence"]

_LONGEST = 160
"""How much of an operation, or of an id, a report shows, in characters."""
_LEAD = 40
"""How much of what two clipped operations share is shown before they differ."""


class DivergenceKind(StrEnum):
    """How what arrived differs; `simulator.comparison` says which is named where several fit."""

    LOST = "lost"
    """Predicted, and did not arrive, or not as often as predicted."""
    DUPLICATED = "duplicated"
    """Arrived more often than predicted."""
    REORDERED = "reordered"
    """Arrives after others that were predicted to follow it."""
    CHANGED = "changed"
    """Arrived, and nothing like it was predicted: in place of what was due, or as one too many."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One operation of a history.

    Attributes:
        number: Which message of its history it stands in, counting all of them from 1.
        operator: Such as ``$set``.
        message: What was compared: the message without its token and identity, with this operator alone, and
            with ``$time`` where that counts.
    """

    number: int
    operator: str
    message: Mapping[str, Any]

    def __str__(self) -> str:
        r"""The message as JSON, fit for a terminal.

        >>> print(Occurrence(1, "$set", {"$set": {"name": "\x1b[31mred"}}))
        {"$set":{"name":"\u001b[31mred"}}
        """
        return _clipped(spell(self.message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Where a profile's history first differs from what was predicted.

    Attributes:
        kind: See `DivergenceKind`.
        profile: The profile's or group's id.
        group_key: A group's key; None for a user's profile.
        place: Which of the profile's operations it is, from 1.
        predicted: The predicted operation that is lost, duplicated, out of order or changed; of several alike the
            one that was due, or the first. None where what arrived was not predicted at all.
        received: What arrived at that place: lost, what came next; duplicated, the one too many; reordered, what
            came before its turn; changed, what it became. None where nothing more arrived.
        elsewhere: Duplicated: the first of its other arrivals. Reordered: where the predicted one arrives. None
            otherwise.
        alike: How many operations like `predicted` the profile's prediction has, itself among them.
        missing: How many predicted operations of the profile did not arrive.
        surplus: How many operations of the profile arrived beyond the predicted ones.
        harmless: Whether the profile comes out as predicted all the same, as `Simulator` applies the operations: a
            set that arrived twice in a row, say. False where an operator outside the vocabulary is among them, None
            where there are too many operations to see.
    """

    kind: DivergenceKind
    profile: str
    group_key: str | None
    place: int
    predicted: Occurrence | None
    received: Occurrence | None
    elsewhere: Occurrence | None
    alike: int
    missing: int
    surplus: int
    harmless: bool | None

    @property
    def owner(self) -> str:
        """The profile as a report names it: clipped, and fit for a terminal."""
        return _clipped(self.profile if self.group_key is None else f"{self.group_key}:{self.profile}")

    def told(self, name: Callable[[Occurrence], str] | None = None) -> str:
        """A few lines for a person.

        Args:
            name: What to call a predicted operation, such as a journal's number; its message's number by default.
        """
        name = name or _message_of
        predicted, received = _shown(self.predicted, self.received)
        harmless = "; the profile comes out as predicted" if self.harmless else ""
        lines = [f"{self.owner}: {self.kind} at operation {self.place:,}{harmless}"]
        if self.predicted is None:
            lines.append("  predicted  nothing like it")
        else:
            alike = f", one of {self.alike:,} alike" if self.alike > 1 else ""
            lines.append(f"  predicted  {name(self.predicted)}{alike}: {predicted}")
        here = _message_of(self.received) if self.received else ""
        there = _message_of(self.elsewhere) if self.elsewhere else ""
        match self.kind:
            case DivergenceKind.DUPLICATED:
                first, again = sorted(
                    (self.elsewhere, self.received), key=lambda one: one.number if one else 0
                )
                lines.append(f"  received   {_message_of(first)}, and again {_message_of(again)}")
            case DivergenceKind.REORDERED:
                lines += [f"  received   {here} before it: {received}", f"             {there}: itself"]
            case DivergenceKind.LOST:
                lines.append(f"  received   {here} next: {received}" if here else "  received   nothing more")
            case DivergenceKind.CHANGED:
                lines.append(f"  received   {here}: {received}")
        if self.missing + self.surplus > 1:
            lines.append(f"  in all     {self.missing:,} missing, {self.surplus:,} too many")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of `compare`.

    Attributes:
        divergences: The first divergence of each profile that has one, in the order the profiles were predicted,
            then in that of their arrival.
        agreeing: How many profiles agree.
        predicted: How many operations were predicted, those that arrived early among them.
        received: How many operations arrived, without those left out.
        to_send: How many of the operations still to be sent did not arrive.
        arrived_early: How many of them arrived all the same.
        pruned: How many operations that arrived before the prediction begins are left out.
        malformed_predicted: How many predicted messages no service would take; they are left out.
        malformed_received: How many received messages are malformed; they are left out.
    """

    divergences: tuple[Divergence, ...]
    agreeing: int
    predicted: int
    received: int
    to_send: int = 0
    arrived_early: int = 0
    pruned: int = 0
    malformed_predicted: int = 0
    malformed_received: int = 0

    @property
    def agrees(self) -> bool:
        """Whether no profile diverges."""
        return not self.divergences

    @property
    def summary(self) -> str:
        """One paragraph for a person."""
        kinds = Counter(one.kind for one in self.divergences)
        which = ", ".join(f"{kinds[kind]:,} {kind}" for kind in DivergenceKind if kinds[kind])
        differing = len(self.divergences)
        harmless = sum(one.harmless is True for one in self.divergences)
        if harmless:
            which += f", {harmless:,} of them with the profile as predicted"
        of_all = (
            f"of {_count(self.agreeing + differing, 'profile')} {'differs' if differing == 1 else 'differ'}"
        )
        parts = [
            f"{differing:,} {of_all}: {which}."
            if which
            else f"{_count(self.agreeing, 'profile')}: all agree.",
            f"Predicted {_count(self.predicted, 'operation')}, received {self.received:,}.",
        ]
        if self.arrived_early:
            parts.append(f"{self.arrived_early:,} arrived though not known as sent yet.")
        if self.to_send:
            parts.append(f"{self.to_send:,} still to be sent.")
        if self.pruned:
            parts.append(f"{self.pruned:,} from before the journal's kept entries are not compared.")
        malformed = self.malformed_predicted + self.malformed_received
        if malformed:
            parts.append(f"Left out {_count(malformed, 'malformed message')}.")
        return " ".join(parts)

    def __str__(self) -> str:
        """The summary, then some lines for each profile that differs.

        >>> from simulator import compare
        >>> predicted = [{"$distinct_id": "ada", "$add": {"visits": 1}}, {"$distinct_id": "bob", "$set": {"a": 1}}]
        >>> print(compare(predicted, [*predicted, predicted[0]]))
        1 of 2 profiles differs: 1 duplicated. Predicted 2 operations, received 3.
        <BLANKLINE>
        ada: duplicated at operation 2
          predicted  message 1: {"$add":{"visits":1}}
          received   message 1, and again message 3
        """
        return "\n\n".join([self.summary, *map(str, self.divergences)])


# --- In words -----------------------------------------------------------------------------------


def _message_of(operation: Occurrence | None) -> str:
    return f"message {operation.number:,}" if operation is not None else "nothing"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _clipped(text: str, start: int = 0) -> str:
    """At most so much of a text, from a place on, with nothing in it that could style a terminal."""
    part = (
        ("…" if start else "")
        + text[start : start + _LONGEST]
        + ("…" if len(text) > start + _LONGEST else "")
    )
    if part.isprintable():
        return part
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in part)


def _shown(one: Occurrence | None, other: Occurrence | None) -> tuple[str, str]:
    """Two operations, each clipped so that it can be seen where they begin to differ."""
    texts = [spell(operation.message) if operation is not None else "" for operation in (one, other)]
    start = 0
    if all(texts) and max(map(len, texts)) > _LONGEST:
        pairs = enumerate(zip_longest(*texts))
        start = max(0, next((place for place, pair in pairs if pair[0] != pair[1]), 0) - _LEAD)
    return _clipped(texts[0], start), _clipped(texts[1], start)
