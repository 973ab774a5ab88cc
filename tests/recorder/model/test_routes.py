"""Routes of events, by their own time and by what strictness demands of them."""

import json

import pytest

from recorder.model.operations import Lane
from recorder.model.routes import Import, route_of

DAY = 86_400
NOW = 1_790_000_000.0
OLD = int(NOW - 4 * DAY) - 1
STRICT, LENIENT = Import(strict=True, token="T"), Import(strict=False, token="T")


def routed(lane=Lane.EVENTS, name="opened", now=NOW, **properties):
    event = {"event": name, "properties": {"$insert_id": "a1", "distinct_id": "", **properties}}
    return route_of(lane, json.dumps(event), token="T", now=now)


@pytest.mark.parametrize("scale", [1, 1_000])
def test_old_events_are_imported(scale):
    """In seconds and in milliseconds."""
    assert routed(time=OLD * scale) == STRICT
    assert routed(time=(OLD + 1) * scale) is None
    assert routed(time=0) == routed(time=-1.5) == routed(time=OLD - 0.5) == STRICT


@pytest.mark.parametrize("time", [str(OLD), True, None, [OLD], 10**300, 1e300, NOW + 365 * DAY, NOW * 1_000])
def test_other_times_count_as_young(time):
    """No number, none that is plainly old: also what a clock that was set back makes of the present."""
    assert routed(time=time) is None


def test_unset_clock_makes_nothing_young():
    """With the device's clock at 1970, an event of 1970 is not young: /track would drop it without a word."""
    assert routed(time=1_000, now=2_000.0) == STRICT
    assert routed(time=OLD, now=2_000.0) is None


@pytest.mark.parametrize("message", ["", "[", "[]", "{}", '{"properties": []}', "[" * 100_000, "9" * 5_000])
def test_odd_messages_have_no_route(message):
    assert route_of(Lane.EVENTS, message, token="T", now=NOW) is None
    assert route_of(Lane.IMPORTS, message, token="T", now=NOW) is None


def test_own_events_have_no_route():
    assert routed(name="$identify", time=OLD) is None
    assert routed(name=7, time=OLD) == STRICT


@pytest.mark.parametrize("lacking", ["time", "$insert_id", "distinct_id"])
def test_strictness_needs_what_it_demands(lacking):
    assert routed(Lane.IMPORTS, time=1) == Import(strict=True, token=None)
    assert routed(Lane.IMPORTS, **{"time": 1, lacking: None}) is None
    assert routed(Lane.IMPORTS, "$merge", **{lacking: None}) == Import(strict=True, token=None)
    assert routed(**{"time": OLD, lacking: None}) == (None if lacking == "time" else LENIENT)
