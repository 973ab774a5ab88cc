"""Profiles before and after a decision: against the simulator itself, and as a table."""

import json

from hypothesis import given
from hypothesis import strategies as some
from rich.cells import cell_len

from recorder import Entry, Lane, State
from recorder.journal.decisions import Verb
from recorder.model.reports import EntryRow
from simulator import Simulator
from simulator.testing import strategies
from tui.text.history import history_of
from tui.text.whatif import if_decided, if_edited, table

BOTH = [Verb.RETRY, Verb.DISCARD]
WAYS = [State.SHIPPED, State.PENDING, State.IN_DOUBT, State.REJECTED, State.DISCARDED]


def history(*entries):
    """Make a profile's history of pairs of a state and an update."""
    rows = []
    for seq, (state, update) in enumerate(entries, 1):
        message = json.dumps({"$distinct_id": "ada", **update})
        rows.append(EntryRow(seq, next(iter(update)), state.value, 1, 0.0, message))
    return history_of("ada", None, rows, looked_at=len(rows))


def simulated(*updates):
    people = Simulator()
    for update in updates:
        people.apply({"$distinct_id": "ada", **update})
    profile = people.profiles.get("ada")
    return None if profile is None else dict(profile)


def lines(*what_ifs, width=74, others=0):
    return list(table(what_ifs, others, width))


operations = some.lists(
    some.tuples(
        some.sampled_from(WAYS),
        some.booleans(),
        strategies.operations().map(lambda each: {each.operator: each.payload}),
    ),
    min_size=1,
    max_size=6,
)


@given(operations, some.integers(40, 120))
def test_states_are_the_simulators(entries, width):
    shipped = [update for state, _, update in entries if state is State.SHIPPED]
    chosen = [(state, update) for state, taken, update in entries if taken and state is not State.SHIPPED]
    numbers = {n for n, (state, taken, _) in enumerate(entries, 1) if taken and state is not State.SHIPPED}
    doubtful = [update for state, update in chosen if state is State.IN_DOUBT]
    taken = [update for _, update in chosen]
    what_if = if_decided(history(*((state, update) for state, _, update in entries)), numbers, BOTH)
    found = [state for column in what_if.columns for state in column.states]
    if doubtful:
        lost, arrived = simulated(*shipped), simulated(*shipped, *doubtful)
        again = simulated(*shipped, *taken), simulated(*shipped, *doubtful, *taken)
        assert found == [lost, arrived, *again, lost, arrived]
    else:
        unsent = {State.PENDING, State.IN_DOUBT}
        rest = [
            (n, state, update)
            for n, (state, _, update) in enumerate(entries, 1)
            if state is not State.SHIPPED
        ]
        now = [update for _, state, update in rest if state in unsent]
        after = [update for n, state, update in rest if state in unsent or n in numbers]
        left = [update for n, state, update in rest if state in unsent and n not in numbers]
        assert found == [simulated(*shipped, *updates) for updates in (now, after, left)]
    drawn = lines(what_if, width=width)
    assert all(cell_len(line) <= width and line.isprintable() for line in drawn)


def test_doubt_shows_both_outcomes():
    """Properties that a retry may change twice come first; those that are the same either way are harmless."""
    doubt = State.IN_DOUBT
    what_if = if_decided(
        history(
            (State.SHIPPED, {"$set": {"plan": "free"}}),
            (doubt, {"$add": {"visits": 1}}),
            (doubt, {"$append": {"$transactions": {"$amount": 2.5}}}),
            (doubt, {"$set": {"plan": "pro"}}),
        ),
        {2, 3, 4},
        BOTH,
        harmless={4},
    )
    assert lines(what_if, width=90) == [
        "               service holds now, if the request",
        "ada            was lost  arrived  after retry           after discard",
        "visits         -         1        1 or 2 (twice)        - or 1",
        "$transactions  -         2.50     2.50 or 5.00 (twice)  - or 2.50",
        'plan           "free"    "pro"    "pro"  harmless       "free" or "pro"',
    ]


def test_rejected_entry_has_one_past():
    entries = history((State.SHIPPED, {"$set": {"plan": "pro"}}), (State.REJECTED, {"$add": {"visits": 2}}))
    assert lines(if_decided(entries, {2}, [Verb.RETRY])) == [
        "ada     as predicted  after retry",
        "visits  -             2",
    ]


def test_deletion_shows_the_whole_profile():
    entries = history((State.SHIPPED, {"$set": {"plan": "pro"}}), (State.PENDING, {"$delete": ""}))
    assert lines(if_decided(entries, {2}, [Verb.DISCARD])) == [
        "ada   as predicted  after discard",
        'plan  -             "pro"',
    ]


def test_deletion_amid_a_run_is_not_harmless():
    """Sent again, it would end what came behind it."""
    doubt = State.IN_DOUBT
    entries = history(
        (State.SHIPPED, {"$set": {"a": 1}}), (doubt, {"$delete": ""}), (doubt, {"$set": {"b": 2}})
    )
    assert lines(if_decided(entries, {2, 3}, [Verb.RETRY]))[2:] == [
        "a    1         -        -",
        "b    -         2        2",
    ]


def edited(sends, state):
    entry = Entry(
        seq=2, lane=Lane.PEOPLE, group_key=None, profile="ada", operator="$add", message={}, recorded_at=0.0,
        state=state, attempt=1, sends=sends, reason=None, possibly_twice=False,
    )  # fmt: skip
    entries = history((State.SHIPPED, {"$set": {"visits": 1}}), (state, {"$add": {"visits": 10}}))
    return lines(if_edited(entries, entry, '{"$distinct_id": "ada", "$add": {"visits": 2}}'))


def test_edit_shows_old_and_new():
    assert edited(0, State.REJECTED) == [
        "ada     without it  as it is  as edited",
        "visits  1           11        3",
    ]
    assert edited(1, State.IN_DOUBT) == [
        "        service holds now, if the request",
        "ada     was lost  arrived  after edit",
        "visits  1         11       3 or 13",
    ]


def test_many_profiles_are_counted():
    """Of properties and profiles the first few, in at most fourteen lines."""
    what_if = if_decided(
        history((State.REJECTED, {"$set": {f"p{n}": n for n in range(9)}})), {1}, [Verb.RETRY]
    )
    shown = lines(what_if, what_if, what_if, others=40)
    assert len(shown) <= 16
    assert "and 3 more properties" in shown
    assert shown[-1] == "and 41 more profiles"


def test_unknown_operator_is_not_simulated():
    entries = history((State.REJECTED, {"$multiply": {"n": 2}}))
    assert lines(if_decided(entries, {1}, [Verb.RETRY]))[-1] == "Partly known: an operator is not simulated."
