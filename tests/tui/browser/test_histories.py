"""A profile's entries in the order of the prediction, and who wrote what: against the simulator itself."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from recorder import JournalReader, State
from recorder.model.reports import EntryRow
from simulator import Simulator, Timeline
from simulator.testing import strategies
from tests.doubles import ACCEPTED, REFUSED, RESET
from tests.tui.browser import shops
from tests.tui.browser.harness import NOW
from tui.browser.gateway_profiles import ProfilesGateway
from tui.text.history import history_of
from tui.text.standpoint import standpoint
from tui.text.value import value_lines
from tui.text.writers import NOBODY, written

WAYS = [State.SHIPPED, State.PENDING, State.IN_DOUBT, State.WAITING, State.REJECTED, State.DISCARDED]


@pytest.fixture
def gateway(stage):
    opened = []

    def open_(path=stage.path):
        opened.append(ProfilesGateway(path, clock=lambda: NOW))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def entry(seq, message, state=State.PENDING, attempt=None):
    operator = next(name for name in message if name not in {"$distinct_id", "$time"})
    return EntryRow(seq, operator, state.value, attempt, NOW, json.dumps(message))


def of(*messages, state=State.PENDING):
    entries = [entry(seq, {"$distinct_id": "ada", **each}, state) for seq, each in enumerate(messages, 1)]
    return history_of("ada", None, entries, looked_at=len(entries))


@pytest.fixture
def shipped_in_part(stage):
    """What was sent later was shipped earlier: entry 1 is in doubt, 2 rejected, 3 shipped, 4 pending."""
    for number in range(1, 5):
        shops.record(stage.path, {"$distinct_id": f"p{number % 2}", "$append": {"n": number}})
    shops.ship(stage.path, RESET, REFUSED, ACCEPTED, limit=3)
    return stage


def test_history_equals_the_reader(shipped_in_part, gateway):
    for profile in ("p0", "p1"):
        history = gateway().history(profile, None)
        with JournalReader(shipped_in_part.path) as reader:
            assert (
                list(zip([p.seq for p in history.passages], history.texts, strict=True))
                == reader.history_of(profile)[1]
            )
            assert len(reader.history_of(profile, shipped_only=True)[1]) == history.shipped


def test_profile_equals_the_simulator(stage, gateway):
    shops.ada(stage.path)
    history = gateway().history("ada@ex.org", None)
    predicted, shipped = (
        Simulator.from_journal(stage.path, shipped_only=only).profile("ada@ex.org") for only in (False, True)
    )
    assert history.at(len(history)) == predicted
    assert history.at(history.shipped) == shipped
    assert history.aside == {}
    assert gateway().history("u-1042", None).aside == {State.REJECTED: 1}


def test_unchanged_history_is_given_back(stage, gateway):
    shops.ada(stage.path)
    door = gateway()
    known = door.history("ada@ex.org", None)
    assert door.history("ada@ex.org", None, known=known) is known
    shops.record(stage.path, {"$distinct_id": "another", "$set": {"a": 1}})
    later = door.history("ada@ex.org", None, known=known)
    assert later.passages is known.passages
    assert later.looked_at == known.looked_at + 1
    shops.record(stage.path, {"$distinct_id": "ada@ex.org", "$set": {"a": 1}})
    more = door.history("ada@ex.org", None, known=later)
    assert len(more) == len(known) + 1
    shops.ship(stage.path)
    assert door.history("ada@ex.org", None, known=more).shipped == len(more)


@given(data=some.data())
def test_writers_equal_timeline_blame(data):
    """One walk through all entries, where `Timeline.blame` takes one for each property."""
    messages = data.draw(some.lists(strategies.messages(ids=some.just("ada")), max_size=8))
    singles = [
        message
        for message in messages
        if sum(name.startswith("$") for name in message) and "$group_key" not in message
    ]
    history = history_of(
        "ada", None, [entry(seq, message) for seq, message in enumerate(singles, 1)], looked_at=len(singles)
    )
    found = written(history)
    timeline = Timeline("ada", [json.dumps(message) for message in singles])
    profile = timeline.at(len(singles))
    assert len(found.changes) == len(singles)
    for name in profile or ():
        assert found.last(name, len(singles)) == timeline.blame(name).by.n
    for n in range(len(singles) + 1):
        assert history.at(n) == timeline.at(n)


def test_steps_say_what_they_changed():
    history = of(
        {"$set": {"plan": "free"}},
        {"$set": {"plan": "free"}},
        {"$add": {"plan": 1}},
        {"$frobnicate": {"[b]": 1}},
        {"$delete": ""},
    )
    assert written(history).changes == (
        'profile created; + plan: "free"',
        "no change",
        "ignored: plan: a string cannot be added to",
        'not simulated: $frobnicate {"[b]": 1}',
        'profile deleted; - plan: "free"',
    )
    assert written(history, stop=lambda: True) is None


def test_writers_are_found_both_ways():
    found = written(of({"$set": {"a": 1}}, {"$set": {"b": 1}}, {"$set": {"a": 2}}, {"$unset": ["a"]}))
    assert found.by["a"] == (1, 3, 4)
    assert [found.last("a", n) for n in range(5)] == [None, 1, 1, 3, 4]
    assert [found.next("a", n, 1) for n in range(5)] == [1, 3, 3, 4, None]
    assert [found.next("a", n, -1) for n in range(1, 6)] == [None, 1, 1, 3, 4]
    assert found.next("nothing", 1, 1) is None
    assert found.number("a", 2, 4) == 2


def test_differing_rows_come_first():
    entries = [
        entry(1, {"$distinct_id": "ada", "$set": {"a": 1, "b": 1, "c": 1}}, State.SHIPPED, 1),
        entry(2, {"$distinct_id": "ada", "$set": {"b": 2}}),
        entry(3, {"$distinct_id": "ada", "$set": {"b": 3, "d": 1.0}}),
        entry(4, {"$distinct_id": "ada", "$unset": ["c"]}),
    ]
    history = history_of("ada", None, entries, looked_at=4)
    shown = standpoint(history, written(history), None, NOW)
    assert [(row.name, row.mark, row.left, row.right, row.by.seq, row.others) for row in shown.rows] == [
        ("b", "~", "1", "3", 3, 1),
        ("d", "+", None, "1.0", 3, 0),
        ("c", "-", "1", None, 4, 0),
        ("a", " ", "1", "1", 1, 0),
    ]
    then = standpoint(history, written(history), 2, NOW)
    assert [(row.name, row.mark, row.left, row.right, row.by.seq) for row in then.rows] == [
        ("b", "~", "1", "2", 2),
        ("a", " ", "1", "1", 1),
        ("c", " ", "1", "1", 1),
    ]
    assert (then.heads, shown.heads) == (("BEFORE", "AFTER"), ("AS SHIPPED", "PREDICTED"))


def test_one_and_true_differ():
    entries = [
        entry(1, {"$distinct_id": "ada", "$set": {"a": 1}}, State.SHIPPED, 1),
        entry(2, {"$distinct_id": "ada", "$set": {"a": True}}),
    ]
    (row,) = standpoint(history_of("ada", None, entries, looked_at=2), NOBODY, None, NOW).rows
    assert (row.mark, row.left, row.right) == ("~", "1", "true")


def test_revenue_is_summed_on_both_sides():
    entries = [
        entry(1, {"$distinct_id": "ada", "$append": {"$transactions": {"$amount": 2.5}}}, State.SHIPPED, 1),
        entry(2, {"$distinct_id": "ada", "$append": {"$transactions": {"$amount": -1}}}),
    ]
    shown = standpoint(history_of("ada", None, entries, looked_at=2), NOBODY, None, NOW)
    assert shown.notes[0] == "revenue 2.50 → 1.50 (1 → 2 charges)"
    assert shown.rows[0].right == "2 charges, 1.50"


def test_megabyte_value_shows_its_beginning():
    lines = list(value_lines("note", "é" * 500_000))
    assert lines[-1] == "… the first 4.1 kB of 1.0 MB; y copies all of it"
    assert sum(map(len, lines[:-1])) == 4_096


def test_charges_are_listed_latest_first():
    lines = list(value_lines("$transactions", [{"$amount": n, "$time": "\x1b[31m"} for n in range(1_000)]))
    assert "999" in lines[1]
    assert "\x1b" not in "".join(lines)
    assert lines[-1] == "… and 800 before them; y copies all of them"
    assert len(lines) == 202


def test_entry_outside_history_has_place():
    entries = [
        entry(1, {"$distinct_id": "ada", "$set": {"a": 1}}, State.REJECTED),
        entry(2, {"$distinct_id": "ada", "$set": {"a": 2}}, State.SHIPPED, 1),
        entry(3, {"$distinct_id": "ada", "$set": {"a": 3}}),
        entry(4, {"$distinct_id": "ada", "$set": {"a": 4}}, State.DISCARDED),
    ]
    history = history_of("ada", None, entries, looked_at=4)
    assert (history.place(2), history.place(3), history.place(1)) == (1, 2, None)
    assert (history.place_before(1), history.place_before(4)) == (1, 2)


@given(states=some.lists(some.sampled_from(WAYS), max_size=12), data=some.data())
def test_each_entry_is_counted(states, data):
    entries = [
        entry(
            seq,
            {"$distinct_id": "ada", "$append": {"n": seq}},
            state,
            data.draw(some.integers(1, 3)) if state is State.SHIPPED else None,
        )
        for seq, state in enumerate(states, 1)
    ]
    history = history_of("ada", None, entries, looked_at=len(entries))
    assert len(history) + sum(history.aside.values()) == len(entries)
    shipped = [passage.attempt for passage in history.passages[: history.shipped]]
    assert shipped == sorted(shipped)
    assert [p.seq for p in history.passages[history.shipped :]] == sorted(
        p.seq for p in history.passages[history.shipped :]
    )


def test_effects_read_a_profile_once(stage, monkeypatch):
    """The next entry's effect, and a copy as a test, look through nothing but what was recorded since."""
    stage.record(*({"$distinct_id": "ada", "$add": {"n": 1}} for _ in range(300)))
    with stage.gateway() as gateway:
        reader, looked = gateway._histories._reader, []
        numbers_of = reader.numbers_of

        def counted(*of, after, stop):
            looked.append(after)
            return numbers_of(*of, after=after, stop=stop)

        monkeypatch.setattr(reader, "numbers_of", counted)
        effects = [gateway.effect(gateway.entry(seq)).lines for seq in (300, 299, 7)]
        assert effects == [("n: 299 → 300",), ("n: 298 → 299",), ("n: 6 → 7",)]
        assert gateway.test_of(9).count("$add") == 9
        stage.record({"$distinct_id": "ada", "$add": {"n": 1}})
        assert gateway.effect(gateway.entry(301)).lines == ("n: 300 → 301",)
    assert looked == [0, 300]
