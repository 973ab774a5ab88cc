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
from tests.tui.browser.harness import NOW, browsing, press, screen_text, settled
from tui.browser import gateway_histories
from tui.browser.gateway_profiles import ProfilesGateway
from tui.browser.messages import ShowProfile
from tui.browser.views.profiles import ProfilesView
from tui.browser.widgets import profile_pane
from tui.browser.widgets.passage_table import PassageTable
from tui.browser.widgets.property_table import PropertyTable
from tui.text import writers as text_writers
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


async def test_late_read_leaves_the_cursor(ada, monkeypatch):
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


@pytest.mark.long
async def test_row_under_cursor_keeps_its_line(ada):
    async with browsing(ada) as pilot:
        await show(pilot, "ada", None, None)
        table = passages(pilot)

        def line():
            screen_text(pilot.app)  # the first row that shows is known once it is drawn
            return table.cursor - table._top

        await press(pilot, "tab", *["j"] * 12)
        line()
        await press(pilot, "k")  # off the last line, where it would stay by itself
        seq, y = under(pilot), line()
        assert table._top > 0
        for n in range(3):
            shops.record(ada.path, *adds(2, 31 + 2 * n))
            pilot.app.look()
            await settled(pilot)
            assert (under(pilot), line()) == (seq, y)


async def test_failed_read_is_repeated_for_moment(ada):
    async with browsing(ada) as pilot:
        view = pilot.app.query_one(ProfilesView)
        working = view._gateway._reader
        view._gateway._reader = closed = JournalReader(ada.path)
        closed.close()
        pilot.app.post_message(ShowProfile("ada", None, 7))
        await until(pilot, lambda: "history" in pilot.app._troubles and not view.pane.waits_for("history"))
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


async def test_new_entry_costs_one_step(ada, monkeypatch):
    async with browsing(ada, (120, 36)) as pilot:
        await show(pilot, "ada", None, None)
        assert writers(pilot) == {"n0": 30, "n1": 28, "n2": 29}
        walked = []
        told = text_writers._told
        monkeypatch.setattr(
            text_writers, "_told", lambda step, changed: walked.append(step.n) or told(step, changed)
        )
        held = Held(written)
        monkeypatch.setattr(profile_pane, "written", held)
        shops.record(ada.path, *adds(1, 31))
        pilot.app.look()
        await until(pilot, lambda: held.asked.is_set() and len(passages(pilot).history) == 31)
        await pilot.pause(0.2)
        assert writers(pilot) == {"n0": 30, "n1": 28, "n2": 29}
        held.go.set()
        await settled(pilot)
        assert writers(pilot) == {"n0": 30, "n1": 31, "n2": 29}
        assert walked == [31]


@pytest.mark.long
async def test_walk_survives_new_entries(ada, monkeypatch):
    async with browsing(ada, (120, 36)) as pilot:
        held = Held(written)
        monkeypatch.setattr(profile_pane, "written", held)
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


async def test_time_alone_rebuilds_no_properties(ada, monkeypatch):
    async with browsing(ada) as pilot:
        await show(pilot, "ada", None, 12)
        made = []
        monkeypatch.setattr(profile_pane, "standpoint", lambda *_: made.append(1))
        view = pilot.app.query_one(ProfilesView)
        pilot.app.gateway.now = view._gateway.now = lambda: NOW + 7_200
        view.refresh_view()
        await settled(pilot)
        assert made == []
        assert pilot.app.query_one(PropertyTable).shown.title.endswith("2 h 16 m ago")


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
def test_continued_walk_equals_whole_walk(entries, more, again):
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


def test_long_history_reads_new_entries_only(ada, monkeypatch):
    monkeypatch.setattr(gateway_histories, "_MANY", 10)
    monkeypatch.setattr(gateway_histories, "REREAD_AFTER", 1e9)
    door = ProfilesGateway(ada.path, clock=lambda: NOW)
    known = door.history("ada", None)
    read, rows_of = [], door._reader.rows_of
    monkeypatch.setattr(
        door._reader, "rows_of", lambda numbers, stop: read.append(len(numbers)) or rows_of(numbers, stop)
    )
    shops.record(ada.path, *adds(2, 31))
    later = door.history("ada", None, known=known)
    assert (len(later), read) == (32, [2])
    assert door.history("ada", None, known=later).same(later)
    # What became of the others is found when it is time, though nothing was written since.
    shops.ship(ada.path, limit=3)
    assert door.history("ada", None, known=later).shipped == 0
    door._whole.reset()
    shipped = door.history("ada", None, known=later)
    assert (shipped.shipped, len(shipped)) == (3, 32)
    # What overtakes others is not put behind them.
    shops.record(ada.path, *adds(1, 33))
    ada.change("UPDATE entries SET state = 'shipped', attempt = 1 WHERE seq = 33")
    assert door.history("ada", None, known=shipped).passages[1].seq == 33
    door.close()


def test_short_history_is_read_whole(ada):
    door = ProfilesGateway(ada.path, clock=lambda: NOW)
    known = door.history("ada", None)
    shops.ship(ada.path, limit=3)
    assert door.history("ada", None, known=known).shipped == 3
    door.close()
