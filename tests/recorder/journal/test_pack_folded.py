"""Packing with folding: fewer updates leave the same profiles, within every limit and in order."""

import json

from hypothesis import given
from hypothesis import strategies as st

from recorder.journal.packing import as_folded, pack
from recorder.model.json_value import MAX_UPDATE_BYTES, compact
from recorder.model.operations import Lane
from simulator import Simulator
from simulator.testing import strategies


def packed(messages, *, fold=True, updates=2_000, size=10_000_000, lane=Lane.PEOPLE):
    rows = enumerate(map(compact, messages), 1)
    return pack(rows, lane=lane, token="T", most_updates=updates, most_bytes=size, now=0.0, fold=fold)


def bodies(messages, **limits):
    """Yield the requests that carry all messages."""
    left = list(messages)
    while left:
        one = packed(left, **limits)
        yield one
        left = left[len(one.numbers) :]


def bump(profile="ada", number=1):
    return {"$distinct_id": profile, "$add": {"n": number}}


def profiles(messages):
    return json.dumps(
        {id_: dict(one) for id_, one in Simulator.from_messages(messages).profiles.items()}, sort_keys=True
    )


# Integers only: floats may round.
OPERATIONS = strategies.operations().filter(
    lambda one: one.operator != "$add" or all(type(number) is int for number in one.payload.values())
)
HISTORIES = st.lists(strategies.messages(operations=OPERATIONS), min_size=1, max_size=12)


@given(HISTORIES, st.integers(1, 5), st.sampled_from([60, 120, 400, 1_000_000]), st.booleans())
def test_folding_keeps_profiles_and_limits(history, updates, size, fold):
    start = {"$distinct_id": "u1", "$set": {"a": 1}}
    requests = list(bodies(history, updates=updates, size=size, fold=fold))
    sent = [update for request in requests for update in json.loads(request.body)]
    assert profiles([start, *sent]) == profiles([start, *history])
    assert sum(len(request.numbers) for request in requests) == len(history)
    for request in requests:
        assert request.updates == len(json.loads(request.body)) <= updates
        assert len(request.body) <= size or request.updates == 1
        assert fold or request.updates == len(request.numbers)


def test_counter_folds_into_one_update():
    one = packed([bump() for _ in range(5_000)])
    assert json.loads(one.body) == [{"$token": "T", "$distinct_id": "ada", "$add": {"n": 5_000}}]
    assert (len(one.numbers), one.updates) == (5_000, 1)


def test_folded_bytes_count_as_sent():
    """The limit counts the bytes of the request, however many entries they fold."""
    one = packed([bump() for _ in range(5_000)], size=200)
    assert len(one.numbers) == 5_000
    assert len(one.body) < 200


def test_interleaved_profiles_fold():
    one = packed([bump("ada"), bump("bob"), bump("ada", 2), bump("bob", 3)])
    assert [update["$add"] for update in json.loads(one.body)] == [{"n": 3}, {"n": 4}]


def test_new_operator_between_prevents_folding():
    """An update of another operator keeps those before and after it apart, and in order: it may create the profile."""
    append = {"$distinct_id": "ada", "$append": {"l": 1}}
    one = packed([bump(), append, bump()])
    assert [[*update][-1] for update in json.loads(one.body)] == ["$add", "$append", "$add"]


def seen(place):
    return {"$distinct_id": "ada", "$time": place, "$append": {"$transactions": {"$amount": place}}}


def test_counter_folds_past_charges():
    """From its second time on; charges stay single and in order, and each sum has the time of its last."""
    visits = [bump("ada", 1) | {"$time": place} for place in range(4)]
    alternating = [update for place in range(4) for update in (visits[place], seen(place))]
    one = packed([bump("bob"), *alternating, bump("bob")])
    sent = [
        {name: value for name, value in update.items() if name != "$token"} for update in json.loads(one.body)
    ]
    last = {"$distinct_id": "ada", "$time": 3, "$add": {"n": 3}}
    assert sent == [bump("bob", 2), visits[0], seen(0), seen(1), seen(2), last, seen(3)]
    assert (one.updates, one.numbers) == (7, tuple(range(1, 11)))


def test_folded_updates_keep_their_number():
    """Of what goes behind others, the number is still that of its first entry."""
    rows = [(place, bump() if place % 2 else seen(place)) for place in range(1, 8)]
    folded = [(place, [*update][-1]) for place, update in as_folded(rows, "T")]
    assert folded == [(1, "$add"), (2, "$append"), (4, "$append"), (6, "$append"), (3, "$add")]


def test_update_that_does_not_fit_moves_nothing():
    """A request that ends has its updates in the order that `as_folded` finds."""
    rows = [(place, bump() if place % 2 else seen(place)) for place in range(1, 6)]
    large = (6, {"$distinct_id": "ada", "$set": {"n": "x" * 300}})
    for size in range(150, 800):
        one = pack(
            [(place, compact(message)) for place, message in [*rows, large, *rows]],
            lane=Lane.PEOPLE, token="T", most_updates=9, most_bytes=size, now=0.0, fold=True,
        )  # fmt: skip
        carried = [row for row in [*rows, large] if row[0] in one.numbers]
        again = [{"$token": "T", **message} for _, message in as_folded(carried, "T")]
        assert json.loads(one.body)[: len(again)] == again or len(one.numbers) > len(carried)


def test_folding_looks_back_so_far():
    """In a run without end, an update looks at the last ones."""
    rare = {"$distinct_id": "ada", "$set": {"plan": "pro"}}
    cycle = [rare, *([seen(1)] * 100)]
    assert packed(cycle * 3).updates == len(cycle) * 3


def test_delete_absorbs_the_whole_run():
    append = {"$distinct_id": "ada", "$append": {"l": 1}}
    one = packed([bump(), append, bump("bob"), {"$distinct_id": "ada", "$delete": ""}, bump()])
    assert [(update["$distinct_id"], [*update][-1]) for update in json.loads(one.body)] == [
        ("ada", "$delete"),
        ("bob", "$add"),
        ("ada", "$add"),
    ]


def test_delete_absorbs_long_runs():
    """Also of one in which updates went behind others."""
    run = [update for place in range(60) for update in (bump(), seen(place))]
    assert packed(run).updates < 66
    assert packed([*run, {"$distinct_id": "ada", "$delete": ""}]).updates == 1


def test_folded_update_keeps_size_limit():
    large = [{"$distinct_id": "ada", "$union": {"l": [str(place) + "x" * 300_000]}} for place in range(5)]
    one = packed(large)
    sizes = [len(compact(update).encode()) for update in json.loads(one.body)]
    assert len(one.numbers) == 5
    assert max(sizes) <= MAX_UPDATE_BYTES
    assert len(sizes) == 2


def test_groups_fold_and_events_never():
    union = {"$group_key": "company", "$group_id": "acme", "$union": {"l": 1}}
    assert packed([union, union], lane=Lane.GROUPS).updates == 1
    event = {"event": "opened", "properties": {"token": "T"}}
    assert packed([event, event], lane=Lane.EVENTS).updates == 2
