"""An open profile that others record for: the cursor stays, who wrote what is carried on, and little is read again."""

import json
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from recorder import JournalReader, State
from recorder.model.reports import EntryRow
from tests.tui.browser import shops
from tests.tui.browser.harness import NOW, browsing, press, settled
from tui.browser import gateway_profiles as door_room
from tui.browser.gateway_profiles import ProfilesGateway
from tui.browser.messages import ShowProfile
from tui.browser.views import profiles as view_room
from tui.browser.views.profiles import ProfilesView
from tui.browser.widgets.passage_table import PassageTable
from tui.browser.widgets.property_table import PropertyTable
from tui.text import writers as walk_room
from tui.text.history import history_of
from tui.text.writers import written


def adds(number, first=1):
    return [{"$distinct_id": "ada", "$add": {f"n{n % 3}": n}} for n in range(first, first + number)]


@pytest.fixture
def ada(stage):
    shops.record(stage.path, *adds(30), ago=1_000.0)
    return stage


async def show(pilot, *whose):
    pilot.app.post_message(ShowProfile(*whose))
    await settled(pilot)


def passages(pilot):
    return pilot.app.query_one(PassageTable)


def writers(pilot):
    return {row.name: row.by and row.by.seq for row in pilot.app.query_one(PropertyTable).shown.rows}


def under(pilot):
    table = passages(pilot)
    return table.history.passages[table.at - 1].seq


class Held:
    """A function that gives its answer only when it is let go."""

    def __init__(self, function):
        self.function = function
        self.calls = 0
        self.asked, self.go = threading.Event(), threading.Event()

    def __call__(self, *arguments, **named):
        self.calls += 1
        found = self.function(*arguments, **named)
        self.asked.set()
        assert self.go.wait(30)
        return found


async def until(pilot, condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "in vain waited for it"
        await pilot.pause(0.01)


# --- the cursor


async def test_the_answer_of_an_older_read_does_not_put_the_cursor_back(ada, monkeypatch):
    async with browsing(ada, (120, 36)) as pilot:
        await show(pilot, "ada", None, None)
        view = pilot.app.query_one(ProfilesView)
        await press(pilot, "tab", "j", "j", "j")
        assert under(pilot) == 28
        held = Held(view._gateway.history)
        monkeypatch.setattr(view._gateway, "history", held)
        shops.record(ada.path, *adds(1, 31))
        view.refresh_view()
        await until(pilot, held.asked.is_set)
        await pilot.press("j", "j")
        assert under(pilot) == 26
        held.go.set()
        await settled(pilot)
        assert len(passages(pilot).history) == 31
        assert under(pilot) == 26


async def test_the_row_under_the_cursor_stays_where_it_is_on_the_screen(ada):
    async with browsing(ada) as pilot:
        await show(pilot, "ada", None, None)
        table = passages(pilot)
        await press(pilot, "tab", *["j"] * 12, "k")
        seq, y = under(pilot), table.cursor - table._top
        assert table._top > 0
        for n in range(3):
            shops.record(ada.path, *adds(2, 31 + 2 * n))
            pilot.app.look()
            await settled(pilot)
            assert (under(pilot), table.cursor - table._top) == (seq, y)


async def test_a_read_that_failed_is_tried_again_for_the_moment_that_was_wanted(ada):
    async with browsing(ada) as pilot:
        view = pilot.app.query_one(ProfilesView)
        working = view._gateway._reader
        view._gateway._reader = closed = JournalReader(ada.path)
        closed.close()
        pilot.app.post_message(ShowProfile("ada", None, 7))
        await until(pilot, lambda: "history" in pilot.app._troubles and not view._reading)
        view._gateway._reader = working
        pilot.app.look()
        view.refresh_view()
        await settled(pilot)
        assert under(pilot) == 7
        await press(pilot, "j")
        view.refresh_view()
        await settled(pilot)
        assert passages(pilot).at is not None


# --- who wrote what


async def test_a_new_entry_costs_one_step_and_what_is_known_keeps_showing(ada, monkeypatch):
    async with browsing(ada, (120, 36)) as pilot:
        await show(pilot, "ada", None, None)
        assert writers(pilot) == {"n0": 30, "n1": 28, "n2": 29}
        walked = []
        told = walk_room._told
        monkeypatch.setattr(
            walk_room, "_told", lambda step, changed: walked.append(step.n) or told(step, changed)
        )
        held = Held(written)
        monkeypatch.setattr(view_room, "written", held)
        shops.record(ada.path, *adds(1, 31))
        pilot.app.look()
        await until(pilot, lambda: held.asked.is_set() and len(passages(pilot).history) == 31)
        await pilot.pause(0.2)
        assert writers(pilot) == {"n0": 30, "n1": 28, "n2": 29}
        held.go.set()
        await settled(pilot)
        assert writers(pilot) == {"n0": 30, "n1": 31, "n2": 29}
        assert walked == [31]


async def test_a_walk_is_not_begun_anew_for_each_new_entry(ada, monkeypatch):
    async with browsing(ada, (120, 36)) as pilot:
        held = Held(written)
        monkeypatch.setattr(view_room, "written", held)
        pilot.app.post_message(ShowProfile("ada", None, None))
        await until(pilot, held.asked.is_set)
        for n in range(3):
            shops.record(ada.path, *adds(1, 31 + n))
            pilot.app.look()
            await until(pilot, lambda n=n: len(passages(pilot).history) == 31 + n)
        assert held.calls == 1
        held.go.set()
        await settled(pilot)
        assert held.calls == 2
        assert writers(pilot) == {"n0": 33, "n1": 31, "n2": 32}


async def test_time_alone_does_not_put_the_properties_together_again(ada, monkeypatch):
    async with browsing(ada) as pilot:
        await show(pilot, "ada", None, 12)
        made = []
        monkeypatch.setattr(view_room, "standpoint", lambda *_: made.append(1))
        view = pilot.app.query_one(ProfilesView)
        pilot.app.gateway.now = view._gateway.now = lambda: NOW + 7_200
        view.refresh_view()
        await settled(pilot)
        assert made == []
        assert pilot.app.query_one(PropertyTable).shown.title.endswith("2 h ago")


STATES = some.sampled_from([State.SHIPPED, State.PENDING, State.IN_DOUBT, State.REJECTED])
PAYLOADS = some.sampled_from(
    [
        {"$set": {"a": 1}},
        {"$add": {"a": 2}},
        {"$append": {"l": 1}},
        {"$union": {"l": [1, 2]}},
        {"$delete": ""},
        {"$frob": 1},
    ]
)
ENTRIES = some.lists(some.tuples(PAYLOADS, STATES), max_size=8)


@given(entries=ENTRIES, more=ENTRIES, again=some.lists(STATES, max_size=8))
def test_what_is_carried_on_is_what_a_walk_from_the_beginning_finds(entries, more, again):
    def rows(entries):
        return [
            EntryRow(
                n, next(iter(payload)), state, n % 2 + 1, NOW, json.dumps({"$distinct_id": "ada", **payload})
            )
            for n, (payload, state) in enumerate(entries, 1)
        ]

    known = history_of("ada", None, rows(entries), looked_at=0)
    became = [(payload, state) for (payload, _), state in zip(entries, again, strict=False)]
    later = [*became, *entries[len(became) :], *more]
    history = history_of("ada", None, rows(later), looked_at=0, known=known)
    anew = history_of("ada", None, rows(later), looked_at=0)
    assert history == anew
    carried, fresh = written(history, known=written(known)), written(anew)
    assert carried == fresh
    for n in range(len(history) + 1):
        assert history.at(n) == anew.at(n)


# --- what is read


def test_of_a_long_history_only_what_is_new_is_read_until_it_is_time_again(ada, monkeypatch):
    monkeypatch.setattr(door_room, "_MANY", 10)
    monkeypatch.setattr(door_room, "_PATIENCE", 1e9)
    door = ProfilesGateway(ada.path, clock=lambda: NOW)
    known = door.history("ada", None)
    read, rows_of = [], door._reader.rows_of
    monkeypatch.setattr(
        door._reader, "rows_of", lambda numbers: read.append(len(numbers)) or rows_of(numbers)
    )
    shops.record(ada.path, *adds(2, 31))
    later = door.history("ada", None, known=known)
    assert (len(later), read) == (32, [2])
    assert door.history("ada", None, known=later).same(later)
    # What became of the others is found when it is time, though nothing was written since.
    shops.ship(ada.path, limit=3)
    assert door.history("ada", None, known=later).shipped == 0
    door._whole_again = 0.0
    shipped = door.history("ada", None, known=later)
    assert (shipped.shipped, len(shipped)) == (3, 32)
    # What overtakes others is not put behind them.
    shops.record(ada.path, *adds(1, 33))
    ada.change("UPDATE entries SET state = 'shipped', attempt = 1 WHERE seq = 33")
    assert door.history("ada", None, known=shipped).passages[1].seq == 33
    door.close()


def test_of_a_short_history_everything_is_read_at_each_look(ada):
    door = ProfilesGateway(ada.path, clock=lambda: NOW)
    known = door.history("ada", None)
    shops.ship(ada.path, limit=3)
    assert door.history("ada", None, known=known).shipped == 3
    door.close()
