"""Packing with folding: fewer updates leave the same profiles, within every limit and in order."""

import json

from hypothesis import given
from hypothesis import strategies as st

from recorder.journal.packing import pack
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


def test_other_operator_between_prevents_folding():
    """An update of another operator keeps those before and after it apart, and in order."""
    append = {"$distinct_id": "ada", "$append": {"l": 1}}
    one = packed([bump(), append, bump()])
    assert [[*update][-1] for update in json.loads(one.body)] == ["$add", "$append", "$add"]


def test_delete_absorbs_the_whole_run():
    append = {"$distinct_id": "ada", "$append": {"l": 1}}
    one = packed([bump(), append, bump("bob"), {"$distinct_id": "ada", "$delete": ""}, bump()])
    assert [(update["$distinct_id"], [*update][-1]) for update in json.loads(one.body)] == [
        ("ada", "$delete"),
        ("bob", "$add"),
        ("ada", "$add"),
    ]


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
