"""From the rows of profiles to what each profile should be, and what the order of two devices decides. Pure."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations_with_replacement, product
from math import isfinite
from typing import Any, NamedTuple

from fleet.rows import Doubt, ProfileRow, Touched, Written, from_text
from recorder.model.json_value import compact, json_key
from recorder.model.operations import Operator
from recorder.model.semantics import apply_operation
from simulator.conformance.order import Agreement, commute

__all__ = ["Count", "Expected", "OrderDecides", "Result", "expected_of", "fold"]

_MOST_OF_AN_OPERATOR = 3  # candidates for a witness, whatever the number of devices
_ADD, _REMOVE, _SET, _UNION, _APPEND = (
    Operator.ADD.value,
    Operator.REMOVE.value,
    Operator.SET.value,
    Operator.UNION.value,
    Operator.APPEND.value,
)


class Count(NamedTuple):
    """A journal's counter on a profile.

    Attributes:
        file: The journal.
        identity: Its identity.
        counter: The property.
        known: What it should be; None if that is not known.
        doubtful: How much more it may be; None for no bound.
        doubt: The run in doubt.
        certain: Nothing else, such as a delete, may have reset it.
        reset: The journal may have reset it itself at some time: an old export may show more.
    """

    file: str
    identity: str
    counter: str
    known: int | None
    doubtful: int | None
    doubt: Doubt | None
    certain: bool
    reset: bool


class Expected(NamedTuple):
    """A property as shipped entries make it.

    Attributes:
        agreement: How exactly that is known.
        value: The value in a list of one; an empty list for none.
        adds: Entries added to it, or may have before they were pruned.
        files: The journals that wrote it.
    """

    agreement: str
    value: list[Any]
    adds: bool
    files: list[str]


class OrderDecides(NamedTuple):
    """Property that depends on the order of two devices.

    Attributes:
        profile: The profile's id.
        property: The property; None where one of them deletes the profile.
        journals: The two journals.
        entries: An entry of each.
        ends: The property after the first and then the second, and the other way round: in a list of one, or an empty
            list for none.
    """

    profile: str
    property: str | None
    journals: tuple[str, str]
    entries: tuple[Written, Written]
    ends: tuple[list[Any], list[Any]]


class Result(NamedTuple):
    """A profile as a fleet knows it.

    Attributes:
        token: The project's; None where that is not known.
        profile: The profile's id.
        identities: The journals', for the marks of their objects.
        counts: Of the journals that count.
        expected: Properties that can be judged, as text; see `expected_of`.
        order: What the order of devices decides.
    """

    token: str | None
    profile: str
    identities: tuple[str, ...]
    counts: tuple[Count, ...]
    expected: str
    order: tuple[OrderDecides, ...]


def fold(rows: Iterable[ProfileRow]) -> list[Result]:
    """Fold the rows of some profiles; all rows of a profile must be among them.

    >>> from fleet.lines import read_lines
    >>> lines = ['{"state": "shipped", "message": {"$distinct_id": "ada", "$add": {"visits": 1}}}']
    >>> (result,) = fold([*read_lines(lines, "one").profiles, *read_lines(lines, "two").profiles])
    >>> expected_of(result)
    {'visits': Expected(agreement='up to rounding', value=[2], adds=True, files=['one', 'two'])}
    """
    profiles: dict[tuple[str, str], list[ProfileRow]] = defaultdict(list)
    for row in rows:
        profiles[row.token or "", row.profile].append(row)
    return [_result(sorted(several, key=lambda row: row.file)) for several in profiles.values()]


def expected_of(result: Result) -> dict[str, Expected]:
    """Return the properties of a profile that can be judged."""
    return {name: Expected(*values) for name, values in json.loads(result.expected).items()}


def _result(rows: list[ProfileRow]) -> Result:
    touched = [from_text(row.touched) for row in rows]
    expected = dict(_expected(rows, touched))
    return Result(
        rows[0].token,
        rows[0].profile,
        tuple(row.identity for row in rows if row.identity is not None),
        tuple(_counts(rows)),
        compact(expected),
        tuple(_order(rows, touched)) if len(rows) > 1 else (),
    )


def _counts(rows: list[ProfileRow]) -> Iterator[Count]:
    for row in rows:
        if row.counter is None or row.identity is None:
            continue
        others = [other for other in rows if other is not row]
        certain = not any(other.deletes or other.counter == row.counter for other in others)
        reset = row.deletes or row.pruned
        yield Count(row.file, row.identity, row.counter, row.known, row.doubtful, row.doubt, certain, reset)


# --- what each property should be


def _expected(rows: list[ProfileRow], touched: list[dict[str, Touched]]) -> Iterator[tuple[str, Expected]]:
    """Yield the properties whose value does not depend on what is not known."""
    if any(row.unsure for row in rows) or (len(rows) > 1 and any(row.deletes or row.pruned for row in rows)):
        return
    begins = all(row.begins for row in rows)
    for name in sorted({name for each in touched for name in each}):
        writers = [(row.file, each[name]) for row, each in zip(rows, touched, strict=True) if name in each]
        if any(one.unsure or not (begins or one.fixed) for _, one in writers):
            continue
        if len(writers) > 1:
            found = _together([one for _, one in writers])
        elif writers[0][1].operators == [_REMOVE]:
            found = None  # it tells of what others have written
        else:
            # Sums may have been added up elsewhere before: in a folded request, or when entries were pruned.
            summed = rows[0].pruned or _ADD in writers[0][1].operators
            found = Agreement.ROUNDED if summed else Agreement.EXACT, writers[0][1].value
        if found is not None:
            agreement, value = found
            adds = rows[0].pruned or any(_ADD in one.operators for _, one in writers)
            yield name, Expected(agreement.value, value, adds, [file for file, _ in writers])


def _together(writers: list[Touched]) -> tuple[Agreement, list[Any]] | None:
    """Return what several journals make of a property; None if their order decides, or nobody knows."""
    used = {operator for one in writers for operator in one.operators}
    if not _commuting(writers, used):
        return None
    values = [value for one in writers for value in one.value]
    if used == {_ADD}:
        # The service takes no sum that no double can represent: which of these it refused, only the order tells.
        return (Agreement.ROUNDED, [sum(values)]) if isfinite(sum(map(float, values))) else None
    if used in ({_APPEND}, {_UNION}):
        several = [element for value in values for element in value]
        unique = list({json_key(element): element for element in several}.values())
        return Agreement.UNORDERED, [unique if used == {_UNION} else several]
    if _SET in used and used <= {_SET, Operator.SET_ONCE.value}:
        return Agreement.EXACT, next(one.value for one in writers if _SET in one.operators)
    return (Agreement.EXACT, []) if used == {Operator.UNSET.value} else None


def _commuting(writers: list[Touched], used: set[str]) -> bool:
    """Return True if each operation of a journal commutes with those of all others."""
    places = {
        operator: [n for n, one in enumerate(writers) if operator in one.operators] for operator in used
    }
    return all(
        commute(one, other) is not Agreement.NONE
        for one, other in combinations_with_replacement(sorted(used), 2)
        if len({*places[one], *places[other]}) > 1
    )


# --- what the order decides

_Candidate = tuple[str, Written]


def _order(rows: list[ProfileRow], touched: list[dict[str, Touched]]) -> Iterator[OrderDecides]:
    profile = rows[0].profile
    shared: dict[str, list[_Candidate]] = defaultdict(list)
    for row, each in zip(rows, touched, strict=True):
        for name, one in each.items():
            shared[name] += [(row.file, entry) for entry in one.entries]
    for name in sorted(shared):
        if len({file for file, _ in shared[name]}) > 1:
            candidates = list(_few(shared[name]))
            yield from _smallest(profile, name, product(candidates, candidates))
    deletes = [(row.file, Written(row.deleted, Operator.DELETE.value, None)) for row in rows if row.deleted]
    if deletes:
        everything = [one for name in sorted(shared) for one in _few(shared[name])]
        found = [
            one
            for name in sorted(shared)
            for one in _smallest(profile, name, product(deletes, _few(shared[name])))
        ]
        if everything and found:
            yield min(found, key=_size)._replace(property=None)


def _few(candidates: list[_Candidate]) -> Iterator[_Candidate]:
    """Yield some entries of each operator: of several journals, and with several values."""
    files: dict[str, set[str]] = defaultdict(set)
    values: dict[str, set[str]] = defaultdict(set)
    for file, entry in sorted(candidates, key=lambda one: (len(compact(one[1])), one[0], one[1].seq)):
        value = compact(entry.value)
        new = file not in files[entry.operator], value not in values[entry.operator]
        if any(new) and len(files[entry.operator]) + len(values[entry.operator]) < 2 * _MOST_OF_AN_OPERATOR:
            files[entry.operator].add(file)
            values[entry.operator].add(value)
            yield file, entry


def _smallest(
    profile: str, name: str, pairs: Iterable[tuple[_Candidate, _Candidate]]
) -> Iterator[OrderDecides]:
    """Yield the smallest pair of entries of two journals whose order decides, if there is one."""
    found = []
    for (file, one), (other_file, other) in pairs:
        if file == other_file or commute(one.operator, other.operator) is not Agreement.NONE:
            continue
        ends = _after(name, one, other), _after(name, other, one)
        if not _alike(*ends):
            found.append(OrderDecides(profile, name, (file, other_file), (one, other), ends))
    if found:
        yield min(found, key=_size)


def _size(one: OrderDecides) -> tuple[int, Any]:
    return len(compact([one.entries, one.ends])), (one.journals, [entry.seq for entry in one.entries])


def _after(name: str, *entries: Written) -> list[Any]:
    properties: dict[str, Any] | None = None
    for entry in entries:
        properties, _ = apply_operation(properties, entry.operator, _payload(name, entry))
    return [properties[name]] if properties and name in properties else []


def _payload(name: str, entry: Written) -> Any:
    if entry.operator == Operator.DELETE:
        return ""
    return [name] if entry.operator == Operator.UNSET else {name: entry.value}


def _alike(one: list[Any], other: list[Any]) -> bool:
    """Return True if two ends differ in the order of a list at most."""
    if one and other and isinstance(one[0], list) and isinstance(other[0], list):
        one, other = ([sorted(repr(json_key(element)) for element in end[0])] for end in (one, other))
        return one == other
    return json_key(one) == json_key(other)
