"""Comparisons: each kind of divergence by hand, random mutations, and equal histories."""

import json
from dataclasses import dataclass
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.model.json_value import same_spelling
from simulator import Comparison, DivergenceKind, compare

LOST, DUPLICATED, REORDERED, CHANGED, UNEXPECTED = DivergenceKind


def adds(*values, profile="ada"):
    """Increments told apart by what they add."""
    return [{"$distinct_id": profile, "$add": {"n": value}} for value in values]


def only(comparison):
    (divergence,) = comparison.divergences
    return divergence


def said(operation):
    return operation.message if operation is not None else None


def value(operation):
    return operation.message["$add"]["n"] if operation is not None else None


# --- each class, and which is named where several fit

CASES = [
    # predicted, received; kind, place, and the operations named: predicted, received, elsewhere
    ([1, 2, 3], [1, 3], (LOST, 2, 2, 3, None)),
    ([1, 2, 3], [1, 2], (LOST, 3, 3, None, None)),
    ([1], [], (LOST, 1, 1, None, None)),
    ([1, 1, 2], [1, 2], (LOST, 2, 1, 2, None)),
    ([1, 2], [1, 2, 1], (DUPLICATED, 3, 1, 1, 1)),
    ([1, 2, 3], [1, 2, 1, 2, 3], (DUPLICATED, 3, 1, 1, 1)),
    ([1, 2], [2, 1, 2], (DUPLICATED, 1, 2, 2, 2)),
    ([1, 1], [1, 1, 1], (DUPLICATED, 3, 1, 1, 1)),
    ([1, 2], [2, 1], (REORDERED, 1, 1, 2, 1)),
    ([1, 2, 3, 4], [1, 3, 4, 2], (REORDERED, 2, 2, 3, 2)),
    ([1, 2, 2], [2, 1], (REORDERED, 1, 1, 2, 1)),
    ([1, 2], [2, 1, 1], (REORDERED, 1, 1, 2, 1)),
    ([1, 2], [1, 9], (CHANGED, 2, 2, 9, None)),
    ([1, 2, 3], [1, 9, 3], (CHANGED, 2, 2, 9, None)),
    ([1, 2], [1, 2, 9], (UNEXPECTED, 3, None, 9, None)),
    ([1, 2], [9, 1, 2], (UNEXPECTED, 1, None, 9, None)),
    ([], [9], (UNEXPECTED, 1, None, 9, None)),
    # Several at once: what differs first is named, and there the rules in their order.
    ([1, 2, 3], [1, 3, 3], (DUPLICATED, 2, 3, 3, 3)),
    ([1, 2, 3], [3, 2], (LOST, 1, 1, 3, None)),
    ([1, 2, 3], [2, 9, 3], (LOST, 1, 1, 2, None)),
    ([1, 2, 3, 4], [2, 1, 3, 3, 4], (REORDERED, 1, 1, 2, 1)),
]


@pytest.mark.parametrize(("predicted", "received", "named"), CASES)
def test_divergence_names_both_operations(predicted, received, named):
    found = only(compare(adds(*predicted), adds(*received)))
    operations = (found.predicted, found.received, found.elsewhere)
    assert (found.kind, found.place, *map(value, operations)) == named
    assert (found.profile, found.group_key) == ("ada", None)


def test_operations_carry_message_numbers():
    predicted = [*adds(1), *adds(5, profile="bob"), *adds(2)]
    received = [*adds(5, profile="bob"), *adds(1), {"$set": {}}, *adds(2), *adds(1)]
    found = only(compare(predicted, received))
    assert found.kind is DUPLICATED
    numbers = [operation.number for operation in (found.predicted, found.elsewhere, found.received)]
    assert numbers == [1, 2, 5]
    found = only(compare(predicted, [*adds(2), *adds(5, profile="bob"), *adds(1)]))
    assert found.kind is REORDERED
    numbers = [operation.number for operation in (found.predicted, found.received, found.elsewhere)]
    assert numbers == [1, 1, 3]


def test_reordered_operation_is_found_later():
    found = only(compare(adds(1, 2, 1, 3), adds(1, 2, 3, 1)))
    assert (found.kind, found.place, found.elsewhere.number) == (REORDERED, 3, 4)


def test_missing_and_surplus_are_counted():
    found = only(compare(adds(*range(10)), adds(*range(5), *range(7), 77)))
    assert (found.kind, found.missing, found.surplus) == (DUPLICATED, 3, 6)
    assert found.format().endswith("\n  in all     3 missing, 6 too many")
    assert "in all" not in compare(adds(1, 2), adds(1)).divergences[0].format()


def test_equal_predicted_operations_are_counted():
    found = only(compare(adds(1, 1, 2, 1), adds(1, 1, 2)))
    assert (found.kind, found.alike) == (LOST, 3)
    assert "message 4, one of 3 alike: " in str(found)
    assert only(compare([], adds(1))).alike == 0


def sets(*values):
    return [{"$distinct_id": "ada", "$set": {"n": value}} for value in values]


@pytest.mark.parametrize(
    ("predicted", "received", "harmless"),
    [
        (sets(1, 2), sets(1, 1, 2), True),
        (sets(1, 2), sets(2), True),
        (sets(1, 2), sets(1, 2, 1), False),
        (sets(1), sets(1.0), False),
        (adds(1, 2), adds(2, 1), True),
        (adds(1, 2), adds(1, 2, 2), False),
        (adds(1), [], False),
        ([], adds(1), False),
        ([{"$distinct_id": "ada", "$delete": ""}], [], True),
        ([{"$distinct_id": "ada", "$merge": {}}, *sets(1)], sets(1), False),
        (sets(1), [{"$distinct_id": "ada", "$merge": {}}, *sets(1)], False),
        ([{"$group_key": "k", "$group_id": "g", "$union": {"l": [1]}}] * 2, [], False),
    ],
)
def test_same_resulting_profile_is_harmless(predicted, received, harmless):
    found = only(compare(predicted, received))
    assert found.harmless is harmless
    assert ("; the profile comes out as predicted\n" in str(found)) is harmless


def test_divergences_follow_prediction_then_arrival():
    predicted = [*adds(1, profile="b"), *adds(1, profile="a"), *adds(1, profile="c")]
    received = [*adds(1, profile="z"), *adds(1, profile="c"), *adds(2, profile="a")]
    comparison = compare(predicted, received)
    assert [one.profile for one in comparison.divergences] == ["b", "a", "z"]
    assert (comparison.agreeing, comparison.agrees) == (1, False)
    assert (comparison.predicted, comparison.received) == (3, 3)


def test_user_and_group_ids_differ():
    def group(key, number):
        return {"$group_key": key, "$group_id": "ada", "$add": {"n": number}}

    predicted = [*adds(1), group("k", 1), group("j", 1)]
    received = [group("j", 2), *adds(1), group("k", 1)]
    found = only(compare(predicted, received))
    assert (found.kind, found.group_key, found.profile) == (CHANGED, "j", "ada")
    assert found.owner == "j:ada"


# --- what counts


@pytest.mark.parametrize(
    ("predicted", "received"),
    [
        (1, 1.0),
        (1, True),
        (0, False),
        (0.0, -0.0),
        ("1", 1),
        (None, False),
        ("é", "e\u0301"),
        ([1, 2], [2, 1]),
        ({"a": [1]}, {"a": [1.0]}),
        ("\\u00e9", "é"),
    ],
)
def test_values_of_another_spelling_are_changed(predicted, received):
    one, other = ([{"$distinct_id": "ada", "$set": {"v": value}}] for value in (predicted, received))
    assert only(compare(one, other)).kind is CHANGED
    assert compare(one, one).agrees


def test_key_order_and_token_are_ignored():
    predicted = [{"$distinct_id": 12, "$set": {"a": 1, "b": {"c": 2, "d": 3}}, "note": "x"}]
    received = [
        {"note": "x", "$token": "T", "$set": {"b": {"d": 3, "c": 2}, "a": 1}, "$distinct_id": "12"},
    ]
    assert compare(predicted, received).agrees


@pytest.mark.parametrize("more", [{"$ip": 0}, {"$ignore_time": True}, {"note": "x"}, {"$latitude": 1.5}])
def test_all_other_content_counts(more):
    (message,) = adds(1)
    found = only(compare([message], [message | more]))
    assert (found.kind, said(found.received)) == (CHANGED, {"$add": {"n": 1}} | more)


def test_several_operators_are_compared_singly():
    several = {"$distinct_id": "ada", "$ip": 0, "$set": {"a": 1}, "$unset": ["b"]}
    single = [
        {"$distinct_id": "ada", "$ip": 0, "$set": {"a": 1}},
        {"$distinct_id": "ada", "$ip": 0, "$unset": ["b"]},
    ]
    comparison = compare([several], single)
    assert comparison.agrees
    assert (comparison.predicted, comparison.received) == (2, 2)
    found = only(compare([several], single[::-1]))
    assert (found.kind, said(found.predicted)) == (REORDERED, {"$ip": 0, "$set": {"a": 1}})
    assert only(compare([several], single[:1])).predicted.operator == "$unset"


def test_unknown_operators_are_compared():
    merge = [{"$distinct_id": "ada", "$merge": {"a": 1}}]
    assert compare(merge, merge).agrees
    assert only(compare(merge, [])).predicted.operator == "$merge"


def timed(*times, profile="ada"):
    return [{"$distinct_id": profile, "$time": time, "$add": {"n": 1}} for time in times]


def test_time_separates_equal_increments():
    found = only(compare(timed(1.5, 2.5, 3.5), timed(1.5, 2.5, 2.5, 3.5)))
    assert (found.kind, said(found.received)["$time"]) == (DUPLICATED, 2.5)
    assert [one.number for one in (found.predicted, found.elsewhere, found.received)] == [2, 2, 3]
    assert only(compare(timed(1.5), timed(2.5))).kind is CHANGED
    assert only(compare(timed(1.5), adds(1))).kind is CHANGED
    assert compare(timed(1.5), timed(1.5)).agrees


def test_missing_predicted_time_disables_time():
    assert compare(adds(1), timed(1.5)).agrees
    assert compare([*timed(1.5), *adds(1)], timed(7.5, 8.5)).agrees
    found = only(compare([*timed(1.5), *adds(1)], timed(7.5)))
    assert (found.kind, said(found.predicted)) == (LOST, {"$add": {"n": 1}})


def test_time_counts_per_profile():
    predicted = [*timed(1.5), *adds(1, profile="bob")]
    received = [*timed(2.5), *timed(2.5, profile="bob")]
    assert only(compare(predicted, received)).profile == "ada"


# --- what is malformed

MALFORMED = [
    None,
    "x",
    [],
    {},
    {"$distinct_id": "ada"},
    {"$set": {"a": 1}},
    {"$distinct_id": "", "$set": {}},
    {"$distinct_id": "ada", "$group_key": "k", "$group_id": "g", "$set": {}},
    {"$distinct_id": "ada", "$add": {"n": "two"}},
    {"$distinct_id": "ada", "$set": {"a": 1}, "$unset": "a"},
    {"$distinct_id": "ada", "$set": {"a": nan}},
    {"$distinct_id": "ada", "$set": {"a": {1}}},
    {"$distinct_id": "ada", "$set": {"a": "\ud800"}},
    {"$distinct_id": "ada", 1: 2, "$set": {}},
]


def test_malformed_messages_are_left_out():
    comparison = compare([*MALFORMED, *adds(1)], [*adds(1), *MALFORMED, None])
    assert comparison.agrees
    assert (comparison.agreeing, comparison.predicted, comparison.received) == (1, 1, 1)
    assert comparison.malformed_predicted == len(MALFORMED)
    assert comparison.malformed_received == len(MALFORMED) + 1
    assert str(comparison).endswith(f"Left out {2 * len(MALFORMED) + 1} malformed messages.")
    comparison = compare([], [], to_send=MALFORMED)
    assert comparison.malformed_predicted == len(MALFORMED)


def test_compare_changes_no_argument():
    predicted, received = [*MALFORMED[:8], *adds(1, 2)], [*adds(2, 1)]
    before = repr((predicted, received))
    compare(predicted, received)
    assert repr((predicted, received)) == before


# --- what is still to be sent


def test_unsent_operations_are_not_missing():
    comparison = compare(adds(1), adds(1), to_send=[*adds(2, 3), *adds(1, profile="bob")])
    assert (comparison.agrees, comparison.agreeing) == (True, 1)
    assert (comparison.predicted, comparison.to_send, comparison.arrived_early) == (1, 3, 0)
    assert comparison.summary.endswith("3 still to be sent.")


def test_early_arrival_is_compared_in_place():
    comparison = compare(adds(1), adds(1, 2, 4), to_send=adds(2, 3, 4))
    assert comparison.agrees
    assert (comparison.predicted, comparison.to_send, comparison.arrived_early) == (3, 1, 2)
    assert "2 arrived though not known as sent yet." in comparison.summary
    found = only(compare(adds(1), adds(1, 4, 2), to_send=adds(2, 3, 4)))
    assert (found.kind, value(found.predicted), found.predicted.number) == (REORDERED, 2, 2)


def test_doubled_operation_in_doubt_is_duplicated():
    comparison = compare([], adds(1, 2, 1, 2), to_send=adds(1, 2))
    found = only(comparison)
    assert (found.kind, found.place, found.predicted.number) == (DUPLICATED, 3, 1)
    assert (comparison.arrived_early, comparison.to_send) == (2, 0)


def test_one_arrival_matches_one_operation():
    comparison = compare([], adds(1, 2), to_send=adds(1, 1, 2))
    assert (comparison.agrees, comparison.arrived_early, comparison.to_send) == (True, 2, 1)


def test_missing_unsent_time_disables_time():
    assert compare(timed(1.5), timed(7.5), to_send=adds(2)).agrees
    assert not compare(timed(1.5), timed(7.5), to_send=timed(2.5)).agrees


def test_equal_arrival_counts():
    comparison = compare(adds(1), adds(1, 1), to_send=adds(1))
    assert (comparison.agrees, comparison.arrived_early) == (True, 1)


def test_arguments_are_read_in_order():
    """A journal may ship between two readings; operations received by then are accounted for."""
    read = []

    def noting(name, messages):
        read.append(name)
        yield from messages
        read.append(f"{name} read")

    compare(noting("1", adds(1)), noting("2", adds(1)), to_send=noting("3", adds(2)))
    assert read == ["1", "1 read", "2", "2 read", "3", "3 read"]


# --- one mutation of a random history

PAYLOADS = st.sampled_from(
    [
        {"$add": {"n": 1}},
        {"$add": {"n": 1.0}},
        {"$set": {"n": True}},
        {"$append": {"l": {"a": 1, "b": [1, 2]}}},
        {"$merge": {"x": 1}},
    ]
)
OWNERS = st.sampled_from([{"$distinct_id": "ada"}, {"$group_key": "k", "$group_id": "ada"}])
TIMES = st.sampled_from([{}, {"$time": 1}, {"$time": 1.0}])
MESSAGES = st.builds(lambda *parts: parts[0] | parts[1] | parts[2], OWNERS, TIMES, PAYLOADS)
HISTORIES = st.lists(MESSAGES, min_size=1, max_size=30)
FRESH = {"$set": {"never": "predicted"}}


def owner_of(message):
    return message.get("$group_key"), message.get("$group_id") or message.get("$distinct_id")


def by_owner(messages):
    found = {}
    for message in messages:
        found.setdefault(owner_of(message), []).append(message)
    return found


def stripped(messages, owner_timed):
    """Return the compared part of one profile's messages, computed independently of the module."""
    ids = {"$token", "$distinct_id", "$group_key", "$group_id"} | (set() if owner_timed else {"$time"})
    return [{name: item for name, item in message.items() if name not in ids} for message in messages]


def first_difference(one, other):
    for place in range(max(len(one), len(other))):
        here, there = one[place : place + 1], other[place : place + 1]
        if len(here) != len(there) or not same_spelling(here, there):
            return place
    return None


def interleaved(draw, messages):
    """The same messages with each profile's own order, in another order of the profiles."""
    lines = by_owner(messages)
    turns = draw(st.permutations([owner for owner, line in lines.items() for _ in line]))
    left = {owner: iter(line) for owner, line in lines.items()}
    return [next(left[owner]) for owner in turns]


@dataclass(frozen=True)
class Mutated:
    """A random history, the profile that is touched, what it has, and where."""

    history: list
    owner: tuple
    line: list
    place: int
    others: list

    def received(self, draw, line):
        return interleaved(draw, [*self.others, *line])

    def compared(self):
        timed = all("$time" in message for message in self.line)
        return stripped(self.line, timed), lambda messages: stripped(messages, timed)


@st.composite
def chosen(draw):
    history = draw(HISTORIES)
    owner = draw(st.sampled_from(sorted(by_owner(history), key=str)))
    line = by_owner(history)[owner]
    place = draw(st.integers(0, len(line) - 1))
    return Mutated(history, owner, line, place, [one for one in history if owner_of(one) != owner])


def end_of_run(said_in_order, place, what):
    """Return the end of a run of equal operations: adding or dropping any of them gives the same history."""
    while place < len(said_in_order) and same_spelling(said_in_order[place], what):
        place += 1
    return place


@given(chosen(), st.data())
def test_one_dropped_is_lost(mutated, data):
    line, place = mutated.line, mutated.place
    compared, _ = mutated.compared()
    comparison = compare(mutated.history, mutated.received(data.draw, [*line[:place], *line[place + 1 :]]))
    found = only(comparison)
    last = end_of_run(compared, place, compared[place]) - 1
    following = compared[last + 1] if last + 1 < len(compared) else None
    assert (found.kind, found.place) == (LOST, last + 1)
    assert same_spelling(said(found.predicted), compared[place])
    assert found.predicted.number == number_of(mutated, last)
    assert same_spelling(said(found.received), following)
    assert (found.missing, found.surplus) == (1, 0)
    assert (found.group_key, found.profile) == mutated.owner


@given(chosen(), st.data())
def test_one_repeated_anywhere_is_duplicated(mutated, data):
    line, place = mutated.line, mutated.place
    compared, _ = mutated.compared()
    again = data.draw(st.integers(0, len(line)))
    received = mutated.received(data.draw, [*line[:again], line[place], *line[again:]])
    found = only(compare(mutated.history, received))
    here = end_of_run(compared, again, compared[place])
    assert (found.kind, found.place) == (DUPLICATED, here + 1)
    for operation in (found.predicted, found.received, found.elsewhere):
        assert same_spelling(said(operation), compared[place])
    alike = [n for n, what in enumerate(compared) if same_spelling(what, compared[place])]
    assert (found.alike, found.predicted.number) == (len(alike), number_of(mutated, alike[0]))
    arrivals = [n for n, one in enumerate(received, 1) if owner_of(one) == mutated.owner]
    assert found.received.number == arrivals[here]
    first = alike[0] if alike[0] < here else alike[0] + 1
    assert found.elsewhere.number == arrivals[first]
    assert (found.missing, found.surplus) == (0, 1)


@given(chosen(), st.data())
def test_swapped_neighbours_are_reordered(mutated, data):
    line, place = list(mutated.line), mutated.place
    compared, _ = mutated.compared()
    if place + 1 == len(line) or same_spelling(compared[place], compared[place + 1]):
        assert compare(mutated.history, mutated.history).agrees  # there is nothing to swap that could be seen
        return
    line[place : place + 2] = line[place + 1], line[place]
    received = mutated.received(data.draw, line)
    found = only(compare(mutated.history, received))
    assert (found.kind, found.place) == (REORDERED, place + 1)
    assert same_spelling(said(found.predicted), compared[place])
    assert same_spelling(said(found.received), compared[place + 1])
    assert same_spelling(said(found.elsewhere), compared[place])
    assert found.predicted.number == number_of(mutated, place)
    arrivals = [n for n, one in enumerate(received, 1) if owner_of(one) == mutated.owner]
    assert [found.received.number, found.elsewhere.number] == arrivals[place : place + 2]
    assert (found.missing, found.surplus) == (0, 0)


@given(chosen(), st.data())
def test_one_altered_is_changed(mutated, data):
    line, place = list(mutated.line), mutated.place
    compared, alike = mutated.compared()
    owner = {
        name: line[place][name] for name in ("$distinct_id", "$group_key", "$group_id") if name in line[place]
    }
    line[place] = owner | FRESH
    found = only(compare(mutated.history, mutated.received(data.draw, line)))
    assert (found.kind, found.place) == (CHANGED, place + 1)
    assert same_spelling(said(found.predicted), compared[place])
    assert same_spelling(said(found.received), alike([line[place]])[0])
    assert found.predicted.number == number_of(mutated, place)
    assert (found.missing, found.surplus) == (1, 1)


def number_of(mutated, place):
    """Which message of the whole history is the profile's at this place."""
    mine = [n for n, message in enumerate(mutated.history, 1) if owner_of(message) == mutated.owner]
    return mine[place]


@given(HISTORIES, st.data())
def test_interleaving_of_profiles_is_ignored(history, data):
    comparison = compare(history, interleaved(data.draw, history))
    assert comparison.agrees
    assert comparison.agreeing == len(by_owner(history))
    assert comparison.predicted == comparison.received == len(history)


@given(HISTORIES, HISTORIES)
def test_divergence_is_at_first_difference(predicted, received):
    comparison = compare(predicted, received)
    places = {(one.group_key, one.profile): one.place - 1 for one in comparison.divergences}
    one, other = by_owner(predicted), by_owner(received)
    expected = {}
    for owner in one | other:
        timed = all("$time" in message for message in one.get(owner, []))
        place = first_difference(stripped(one.get(owner, []), timed), stripped(other.get(owner, []), timed))
        if place is not None:
            expected[owner] = place
    assert places == expected
    assert comparison.agreeing == len(one | other) - len(expected)
    assert str(comparison).count("\n\n") == len(expected)


@given(HISTORIES, st.integers(0, 30), st.integers(0, 30))
def test_split_of_prediction_is_irrelevant(history, known, arrived):
    """Shipped and unsent operations are one prediction, as far as it arrived."""
    known = min(known, len(history))
    arrived = max(known, min(arrived, len(history)))
    comparison = compare(history[:known], history[:arrived], to_send=history[known:])
    assert comparison.agrees
    assert (comparison.predicted, comparison.arrived_early) == (arrived, arrived - known)
    assert comparison.to_send == len(history) - arrived


# --- what it looks like


def test_agreement_is_a_line():
    assert str(compare([], [])) == "0 profiles: all agree. Predicted 0 operations, received 0."
    assert str(compare(adds(1), adds(1))) == "1 profile: all agree. Predicted 1 operation, received 1."


def test_report_has_block_per_profile():
    predicted = [
        *adds(1, 2, profile="lost"),
        *adds(1, 2, profile="twice"),
        *adds(1, 2, profile="turned"),
        *adds(1, 2, profile="altered"),
        *adds(1, profile="extra"),
        *adds(1, profile="same"),
        *adds(1, 2, profile="early gone"),
    ]
    received = [
        *adds(1, profile="lost"),
        *adds(1, 2, 1, profile="twice"),
        *adds(2, 1, profile="turned"),
        *adds(1, 3, profile="altered"),
        *adds(1, 5, profile="extra"),
        *adds(1, profile="same"),
        *adds(2, profile="early gone"),
    ]
    assert str(compare(predicted, received)) == (
        "6 of 7 profiles differ: 2 lost, 1 duplicated, 1 reordered, 1 changed, 1 unexpected, "
        "1 of them with the profile as predicted. "
        "Predicted 12 operations, received 12.\n"
        "\n"
        "lost: lost at operation 2\n"
        '  predicted  message 2: {"$add":{"n":2}}\n'
        "  received   nothing more\n"
        "\n"
        "twice: duplicated at operation 3\n"
        '  predicted  message 3: {"$add":{"n":1}}\n'
        "  received   message 2, and again message 4\n"
        "\n"
        "turned: reordered at operation 1; the profile comes out as predicted\n"
        '  predicted  message 5: {"$add":{"n":1}}\n'
        '  received   message 5 before it: {"$add":{"n":2}}\n'
        "             message 6: itself\n"
        "\n"
        "altered: changed at operation 2\n"
        '  predicted  message 8: {"$add":{"n":2}}\n'
        '  received   message 8: {"$add":{"n":3}}\n'
        "  in all     1 missing, 1 too many\n"
        "\n"
        "extra: unexpected at operation 2\n"
        "  predicted  nothing like it\n"
        '  received   message 10: {"$add":{"n":5}}\n'
        "\n"
        "early gone: lost at operation 1\n"
        '  predicted  message 11: {"$add":{"n":1}}\n'
        '  received   message 12 next: {"$add":{"n":2}}'
    )


def test_report_uses_given_names():
    found = only(compare(adds(1, 2), adds(1)))
    assert found.format(lambda operation: f"#{operation.number + 100}").splitlines()[1] == (
        '  predicted  #102: {"$add":{"n":2}}'
    )


HOSTILE = "\x1b[31mred\x9b0m\u202eturned\u2028\r\n\t\x7f\U000e0041\xa0"


@pytest.mark.parametrize("more", [[], [1]])
def test_report_escapes_control_characters(more):
    message = {"$group_key": HOSTILE, "$group_id": HOSTILE, "$set": {HOSTILE: [HOSTILE]}}
    other = {**message, "$set": {HOSTILE: [HOSTILE * 9]}}
    for received in ([], [other], [message, other], [other, message], [message, message]):
        report = str(compare([message, *more], received))
        assert all(letter.isprintable() for letter in report.replace("\n", ""))
    assert "\\u001b[31mred\\u009b0m\\u202eturned\\u2028" in report


def test_long_operations_are_clipped_around_difference():
    long = "x" * 100_000
    one, other = ({"$distinct_id": "i" * 255, "$set": {"a": long + end}} for end in ("left", "right"))
    report = str(compare([one], [other]))
    assert len(report) < 1_000
    assert 'xxxleft"}}' in report
    assert 'xxxright"}}' in report
    assert max(map(len, str(compare([one], [])).splitlines())) < 200


def test_comparisons_are_frozen_values():
    one, other = compare(adds(1, 2), adds(1)), compare(adds(1, 2), adds(1))
    assert one == other
    assert isinstance(one, Comparison)
    with pytest.raises(AttributeError):
        one.agreeing = 5
    assert json.dumps(one.divergences[0].predicted.message) == '{"$add": {"n": 2}}'


@pytest.mark.parametrize("time", ["2026-01-02", True, None, 12, 1.5, -0.0, 1e300, {"b": [1.0], "a": "é"}])
def test_any_time_is_compared(time):
    due = {"$distinct_id": "ada", "$time": time, "$set": {"a": 1}}
    (divergence,) = compare([due], [{**due, "$time": 2.5}]).divergences
    assert json.dumps(divergence.predicted.message["$time"], sort_keys=True) == json.dumps(
        time, sort_keys=True
    )
    assert compare([due], [due]).agrees
