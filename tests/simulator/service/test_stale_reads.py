"""Queries that show old profiles, hide properties, or know an id by another name."""

import json

import pytest

from simulator.service.server import Service
from tests.simulator.service.senders import fault, group, increment, send, update
from tests.simulator.service.test_queries import query, shown


@pytest.fixture
def clock(clock):
    clock.now = 1_000.0
    return clock


@pytest.fixture
def visits(http):
    """The visits that a query shows; None without a profile."""

    def read(service):
        return shown(query(http, service)).get("ada", {}).get("visits")

    return read


def test_query_shows_profiles_of_earlier(http, clock, visits):
    with Service(read_lag=10, clock=clock) as service:
        seen = []
        for clock.now in (1_000.0, 1_009.0, 1_010.0, 1_019.0):
            send(http, service, [increment()])
            seen.append((visits(service), service.profiles()["ada"]["visits"]))
        clock.now = 2_000.0
        assert seen == [(None, 1), (None, 2), (1, 3), (2, 4)]
        assert visits(service) == 4


def test_lags_take_turns(http, clock, visits):
    """Reads go back, as from one replica to another."""
    with Service(read_lag=[0, 30, 10], clock=clock) as service:
        for clock.now in (1_000.0, 1_010.0, 1_020.0, 1_030.0):
            send(http, service, [increment()])
        assert [visits(service) for _ in range(6)] == [4, 1, 3, 4, 1, 3]


def test_lagging_query_shows_deleted_profile(http, clock):
    with Service(read_lag=10, clock=clock) as service:
        send(http, service, [update(), update("bob")])
        send(http, service, [group()], "/groups")
        clock.now += 10
        send(http, service, [update("ada", "$delete", "")])
        send(http, service, [{**group(), "$delete": ""}], "/groups")
        assert list(shown(query(http, service))) == ["ada", "bob"]
        assert shown(query(http, service, data_group_id="company")) == {"acme": {"sites": 2}}
        clock.now += 10
        assert list(shown(query(http, service))) == ["bob"]


def test_lag_of_clock_set_back(http, clock, visits):
    """Arrivals stay in order, and so does what queries show of them."""
    with Service(read_lag=10, clock=clock) as service:
        send(http, service, [increment()])
        clock.now -= 500
        send(http, service, [increment()])
        clock.now += 505
        assert visits(service) is None
        clock.now += 5
        assert visits(service) == 2


@pytest.mark.parametrize("token", [None, "T"])
def test_reset_empties_lagging_queries(http, clock, visits, token):
    with Service(read_lag=10, clock=clock) as service:
        send(http, service, [increment(), update("bob", token="U")])
        clock.now += 10
        assert visits(service) == 1
        service.reset(token)
        send(http, service, [increment() for _ in range(3)])  # no fewer than before
        clock.now += 10
        assert visits(service) == 3
        service.reset(token)
        assert list(shown(query(http, service))) == ["bob"] * (token == "T")


def test_late_copy_lags_from_its_arrival(http, clock, visits):
    with Service(read_lag=10, clock=clock, faults=[fault("late", seconds=100)]) as service:
        with pytest.raises(OSError):
            send(http, service, [increment()])
        clock.now += 100
        assert (visits(service), service.profiles()) == (None, {"ada": {"visits": 1}})
        clock.now += 10
        assert visits(service) == 1


@pytest.mark.parametrize("lag", [-1, [], [0, float("nan")], float("inf")])
def test_impossible_lag_is_refused(lag):
    with pytest.raises(ValueError, match="read_lag"):
        Service(read_lag=lag)


def test_hidden_properties_are_not_shown(http):
    """Not when asked for by name, and not of groups; the profile has them."""
    properties = {"plan": "pro", "restante_3af6e1c3": 1, "Plan": 2}
    with Service(hidden=["restante_*", "plan"]) as service:
        send(http, service, [update(payload=properties)])
        send(http, service, [{**group(), "$set": properties}], "/groups")
        asked = json.dumps(list(properties))
        for options in ({}, {"output_properties": asked}):
            assert shown(query(http, service, **options)) == {"ada": {"Plan": 2}}
        assert shown(query(http, service, data_group_id="company")) == {"acme": {"Plan": 2}}
        assert service.profiles() == {"ada": properties}


@pytest.mark.parametrize("lag", [0, 10])
@pytest.mark.parametrize("id_", ["7", 7])
def test_merged_ids_share_profile(http, clock, lag, id_):
    """A query for either shows it once, under the id that is left."""
    with Service(merged={"7": "ada"}, clock=clock, read_lag=lag) as service:
        send(http, service, [increment(id_), increment("ada"), increment("bob")])
        clock.now += lag
        for asked in ('["7"]', '["ada"]', '["ada", "7"]'):
            assert shown(query(http, service, distinct_ids=asked)) == {"ada": {"visits": 2}}
        assert shown(query(http, service, distinct_id="7")) == {"ada": {"visits": 2}}
        assert service.profiles() == {"ada": {"visits": 2}, "bob": {"visits": 1}}


def test_merging_twice_is_refused():
    with pytest.raises(ValueError, match="into 'b', which is merged into 'c'"):
        Service(merged={"a": "b", "b": "c"})
