"""Results of `compare`, and their text. Frozen; pure."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from recorder.model.json_value import spell
from recorder.model.text import printable

__all__ = ["Comparison", "Divergence", "DivergenceKind", "Occurrence"]

_LONGEST = 160
"""Characters shown of an operation or an id."""
_LEAD = 40
"""Characters shown before the first difference of two clipped operations."""


class DivergenceKind(StrEnum):
    """Kinds of divergence; `simulator.comparison` has the rules."""

    LOST = "lost"
    """Received less often than predicted."""
    DUPLICATED = "duplicated"
    """Received more often than predicted."""
    REORDERED = "reordered"
    """Received after operations that were predicted to follow it."""
    CHANGED = "changed"
    """Received instead of the predicted one, and never predicted."""
    UNEXPECTED = "unexpected"
    """Received, never predicted, and instead of nothing. Somebody else may have sent it."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One operation of a history.

    Attributes:
        number: Number of its message in its history, from 1, malformed ones included.
        operator: Such as ``$set``.
        message: The message as compared: this operator alone, without token and identity, with ``$time`` only if
            that counts.
    """

    number: int
    operator: str
    message: Mapping[str, Any]

    def __str__(self) -> str:
        r"""Return the message as JSON, safe for a terminal.

        >>> print(Occurrence(1, "$set", {"$set": {"name": "\x1b[31mred"}}))
        {"$set":{"name":"\u001b[31mred"}}
        """
        return _clipped(spell(self.message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The first difference between a profile's predicted and received operations.

    Attributes:
        kind: See `DivergenceKind`.
        profile: The profile's or group's id.
        group_key: A group's key; None for a user's profile.
        place: Number of the operation in the profile's history, from 1.
        predicted: The predicted operation that is lost, duplicated, reordered or changed (of several equal ones the
            one that was due, or the first); None if nothing equal was predicted.
        received: The operation received at that place: the next one (lost), the extra one (duplicated), the one before
            its turn (reordered), or the changed or unexpected one; None if nothing more was received.
        elsewhere: The first other arrival (duplicated) or the late one (reordered); None otherwise.
        alike: Number of predicted operations equal to `predicted`, itself included.
        missing: Number of the profile's predicted operations that were not received.
        surplus: Number of the profile's received operations that were not predicted.
        harmless: True if the resulting profile is as predicted, such as after a repeated set. False if an unknown
            operator is involved, None if there are too many operations to check.
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
        """The profile's name in reports, clipped and safe for a terminal."""
        return _clipped(self.profile if self.group_key is None else f"{self.group_key}:{self.profile}")

    def format(self, name: Callable[[Occurrence], str] | None = None) -> str:
        """Return a few lines of text.

        Args:
            name: Names a predicted operation, such as by its entry; by default by its message's number.
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
            case DivergenceKind.CHANGED | DivergenceKind.UNEXPECTED:
                lines.append(f"  received   {here}: {received}")
        if self.missing + self.surplus > 1:
            lines.append(f"  in all     {self.missing:,} missing, {self.surplus:,} too many")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.format()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The result of `compare`.

    Attributes:
        divergences: The first divergence of each profile that has one, in order of prediction, then of arrival.
        agreeing: Number of profiles without one.
        predicted: Number of predicted operations, `arrived_early` included.
        received: Number of received operations, without `pruned`.
        to_send: Number of operations to be sent that did not arrive.
        arrived_early: Number of operations to be sent that did arrive.
        pruned: Number of operations received before the prediction begins; they are left out.
        malformed_predicted: Number of malformed predicted messages; they are left out.
        malformed_received: Number of malformed received messages; they are left out.
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
        """True if no profile diverges."""
        return not self.divergences

    @property
    def summary(self) -> str:
        """One paragraph of text."""
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
        """Return the summary, then some lines for each profile that differs.

        >>> from restante import compare
        >>> predicted = [{"$distinct_id": "ada", "$add": {"visits": 1}}, {"$distinct_id": "bob", "$set": {"a": 1}}]
        >>> print(compare(predicted, [*predicted, predicted[0]]))
        1 of 2 profiles differs: 1 duplicated. Predicted 2 operations, received 3.
        <BLANKLINE>
        ada: duplicated at operation 2
          predicted  message 1: {"$add":{"visits":1}}
          received   message 1, and again message 3
        """
        return "\n\n".join([self.summary, *map(str, self.divergences)])


# --- As text ------------------------------------------------------------------------------------


def _message_of(operation: Occurrence | None) -> str:
    return f"message {operation.number:,}" if operation is not None else "nothing"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _clipped(text: str, start: int = 0) -> str:
    """Return part of a text, with terminal control characters escaped."""
    part = (
        ("…" if start else "")
        + text[start : start + _LONGEST]
        + ("…" if len(text) > start + _LONGEST else "")
    )
    return printable(part, lambda letter: json.dumps(letter)[1:-1])


def _shown(one: Occurrence | None, other: Occurrence | None) -> tuple[str, str]:
    """Return two operations as text, clipped so that their first difference shows."""
    texts = [spell(operation.message) if operation is not None else "" for operation in (one, other)]
    start = 0
    if all(texts) and max(map(len, texts)) > _LONGEST:
        pairs = enumerate(zip_longest(*texts))
        start = max(0, next((place for place, pair in pairs if pair[0] != pair[1]), 0) - _LEAD)
    return _clipped(texts[0], start), _clipped(texts[1], start)
