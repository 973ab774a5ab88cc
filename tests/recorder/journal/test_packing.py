"""Packing: a request takes as many entries as fit, held against the plainest way to find out."""

import json
from itertools import count

import hypothesis.strategies as st
import pytest
from hypothesis import given

from recorder import Lane
from recorder.journal.packing import pack
from recorder.model.intake import token_prefix
from recorder.model.routes import Import

DAY = 86_400.0


def body_of(messages, lane):
    prefix = token_prefix("T") if lane is Lane.PEOPLE else ""
    updates = [prefix + message[1:] if prefix else message for message in messages]
    return f"[{','.join(updates)}]".encode()


def as_many_as_fit(rows, lane, updates, size):
    """One entry after another, each with the whole body made anew."""
    taken = []
    for row in rows:
        body = body_of([message for _, message in (*taken, row)], lane)
        if len(taken) == updates or (taken and len(body) > size):
            break
        taken.append(row)
    return tuple(number for number, _ in taken), body_of([message for _, message in taken], lane)


@given(
    texts=st.lists(st.text("aé", max_size=30), min_size=1, max_size=40),
    lane=st.sampled_from([Lane.PEOPLE, Lane.IMPORTS]),
    updates=st.sampled_from([1, 7, 50]),
    entries=st.none() | st.integers(1, 50),
)
def test_request_takes_what_fits(texts, lane, updates, entries):
    """Its limit is the size of some first entries, and a byte more or less."""
    rows = [(2 * n, json.dumps({"text": text}, ensure_ascii=False)) for n, text in enumerate(texts, 1)]
    for end in range(1, len(rows) + 1):
        whole = len(body_of([message for _, message in rows[:end]], lane))
        for size in (whole - 1, whole, whole + 1):
            packed = pack(
                iter(rows),
                lane=lane,
                token="T",
                most_updates=updates,
                most_bytes=size,
                now=0.0,
                most_entries=entries,
            )
            most = updates if entries is None else min(updates, entries)
            assert (packed.numbers, packed.body) == as_many_as_fit(rows, lane, most, size)
            assert packed.updates == len(packed.numbers)


def events(*days_ago, now):
    for number, days in enumerate(days_ago, 1):
        yield number, json.dumps({"event": "e", "properties": {"time": now - days * DAY, "$insert_id": "i"}})


@pytest.mark.parametrize(("ages", "taken"), [((9, 9, 9, 1), 3), ((1, 1, 1, 1, 9), 4), ((9,) * 5, 5)])
def test_request_ends_where_routes_change(ages, taken):
    now = 1_800_000_000.0
    rows = events(*ages, now=now)
    packed = pack(rows, lane=Lane.EVENTS, token="T", most_updates=9, most_bytes=10_000, now=now)
    assert len(packed.numbers) == taken
    assert isinstance(packed.route, Import) == (ages[0] > 4)


def test_packing_reads_little_in_vain():
    """Of large messages that do not fit, no more are read than were taken."""
    read = count(1)
    rows = ((next(read), json.dumps({"text": "x" * 900})) for _ in range(1_000))
    packed = pack(rows, lane=Lane.PEOPLE, token="T", most_updates=2_000, most_bytes=10_000, now=0.0)
    assert len(packed.numbers) == 10
    assert next(read) - 1 <= 2 * 10


def test_packing_reads_few_large_after_small():
    """Each of those that are read in vain may take a megabyte."""
    rows = enumerate(['{"a":1}'] * 200 + [json.dumps({"text": "x" * 9_000})] * 200)
    packed = pack(rows, lane=Lane.PEOPLE, token="T", most_updates=2_000, most_bytes=10_000, now=0.0)
    assert len(packed.numbers) == 200
    assert 400 - len(list(rows)) <= 200 + 16
