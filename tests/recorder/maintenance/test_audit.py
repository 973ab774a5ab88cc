"""`audit`: what it counts agrees after whatever shipping and people do, and each thing put wrong is named."""

import json
import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from functools import partial

import pytest

from recorder import (
    InvalidOperation,
    Journal,
    JournalError,
    JournalReader,
    Lane,
    Shipper,
    ShippingPolicy,
    State,
    audit,
)
from recorder.journal.claims import ClaimSize, Shipping
from recorder.journal.decisions import Verb
from recorder.journal.opening import PAGE_SIZE
from recorder.journal.uptime import Uptime
from recorder.maintenance.audit import Disagreement
from recorder.model.entries import NewEntry
from recorder.model.errors import JournalMissing, NotAJournal
from tests.doubles import ACCEPTED, FORBIDDEN, PATIENCE, REFUSED, RESET, UNREACHABLE, Scripted


def row(who, *, number=1, operator="$add", payload=None, group=None, **more):
    identity = {"$distinct_id": who} if group is None else {"$group_key": group, "$group_id": who}
    message = {**identity, operator: {"visits": 1} if payload is None else payload, "$time": number, **more}
    lane = "people" if group is None else "groups"
    return NewEntry(lane, group, who, operator, json.dumps(message, separators=(",", ":")), 1.0)


class Clock:
    """Time as a test tells it."""

    def __init__(self):
        self.now = 1_000.0
        self.boot = "monday"

    def __call__(self):
        return self.now

    def uptime(self):
        return Uptime(self.boot, self.now)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kiosk.db"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def journal(path):
    with Journal(path, token="T", durability="process") as opened:
        yield opened


@pytest.fixture
def shipper(journal, clock):
    """A shipper of the journal, through a transport with these answers."""
    return partial(shipper_of, journal, clock)


def shipper_of(journal, clock, transport, **policy):
    return Shipper(
        journal,
        transport,
        ShippingPolicy(**policy),
        clock=clock,
        uptime=clock.uptime,
        chance=lambda: 1.0,
    )


# --- what is put wrong by hand


@pytest.fixture
def story(path, told_story):
    """A copy for one test to put wrong."""
    shutil.copy(told_story, path)
    return path


@pytest.fixture(scope="module")
def told_story(tmp_path_factory):
    """1 and 2 shipped, by a second request; 3 rejected; 4 held in doubt with 5 behind it; 6 and 7 pending."""
    path = tmp_path_factory.mktemp("story") / "kiosk.db"
    with Journal(path, token="T", durability="process") as journal:
        shipper = partial(shipper_of, journal, Clock())
        journal.append([row("ada"), row("bob")])
        sends = shipper(Scripted(RESET), settle_after=0)
        sends.ship()
        while sends.ship().pending:
            pass
        journal.append([row("cid")])
        shipper(Scripted(REFUSED)).ship()
        journal.append([row("dan")])
        holds = shipper(Scripted(RESET), in_doubt="hold", settle_after=0)
        holds.ship()
        journal.append([row("dan")])
        holds.ship()
        journal.append([row("eve"), row("fay")])
    assert audit(path).agrees
    with JournalReader(path) as reader:
        states = [entry.state.value for entry in reader.entries()[::-1]]
    assert states == ["shipped", "shipped", "rejected", "in_doubt", "waiting", "pending", "pending"]
    return path


def told(path, *statements):
    """What `audit` says after these changes."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    audited = audit(path)
    assert audited.agrees is not bool(audited.disagreements)
    return [str(disagreement) for disagreement in audited.disagreements]


@pytest.mark.parametrize("account", ["rejected", "in_doubt", "waiting", "shipped", "discarded", "lost"])
def test_wrong_counter_is_named_with_pending(story, account):
    with JournalReader(story) as reader:
        counted = getattr(reader.counts(), account)
    wrong = told(story, f"UPDATE counters SET entries = entries + 2 WHERE account = '{account}'")
    assert wrong == ["pending: counted 2, noted 0", f"{account}: counted {counted}, noted {counted + 2}"]


@pytest.mark.parametrize("mark", ["possibly_twice", "out_of_order"])
def test_wrong_mark_counter_is_named(story, mark):
    wrong = told(story, f"UPDATE counters SET entries = 7 WHERE account = '{mark}'")
    counted = 2 if mark == "possibly_twice" else 0
    assert wrong == [f"{mark}: counted {counted}, noted 7"]


def test_counter_that_is_gone_is_named(story):
    assert "shipped: counted 2, noted 0" in told(story, "DELETE FROM counters WHERE account = 'shipped'")


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("DELETE FROM entries WHERE seq = 6", "recorded: counted 6, noted 7 (first: entry 6)"),
        ("UPDATE entries SET seq = 1000 WHERE seq = 6", "recorded: counted 7, noted 1,000 (first: entry 6)"),
        ("UPDATE entries SET seq = -6 WHERE seq = 6", "recorded: counted 7, noted 7 (first: entry 1)"),
        (
            "UPDATE lanes SET cursor = 6",
            "entries that their lane has passed, in no accepted range: counted 1, noted 0 (first: entry 6)",
        ),
        (
            "UPDATE lanes SET cursor = 3",
            "sent entries that their lane has not reached: counted 1, noted 0 (first: entry 4)",
        ),
        (
            "UPDATE lanes SET cursor = 5000",
            "lanes that have passed the last entry: counted 1, noted 0",
        ),
        (
            "UPDATE entries SET lane = 'events' WHERE seq = 7",
            "entries of a lane that does not exist: counted 1, noted 0 (first: entry 7)",
        ),
        (
            "UPDATE entries SET sends = 1 WHERE seq = 6",
            "pending entries that were sent: counted 1, noted 0 (first: entry 6)",
        ),
        (
            "UPDATE entries SET attempt = 1 WHERE seq = 6",
            "pending entries that were sent: counted 1, noted 0 (first: entry 6)",
        ),
        (
            "UPDATE entries SET state = 'posted' WHERE seq = 2",
            "rows of entries that cannot be read: counted 1, noted 0 (first: entry 2)",
        ),
        (
            "UPDATE entries SET state = 'sending' WHERE seq = 2",
            "rows of entries that cannot be read: counted 1, noted 0 (first: entry 2)",
        ),
        ("UPDATE entries SET state = 'shipped' WHERE seq = 6", "shipped: counted 3, noted 2"),
        (
            "UPDATE entries SET sends = 1 WHERE seq = 2",
            "entries possibly applied twice that were sent once: counted 1, noted 0 (first: entry 2)",
        ),
        *(
            (
                statement,
                "shipped entries without a request that shipped them: counted 1, noted 0 (first: entry 2)",
            )
            for statement in (
                "UPDATE entries SET attempt = NULL WHERE seq = 2",
                "UPDATE entries SET attempt = 99 WHERE seq = 2",
                "UPDATE entries SET attempt = 1 WHERE seq = 2",  # nobody knows what came of that one
                "UPDATE entries SET sends = 0, possibly_twice = 0 WHERE seq = 2",
                "UPDATE attempts SET picked = '[1]' WHERE outcome = 'shipped' AND last = 2",
                "UPDATE attempts SET last = 1, picked = '[1, 2]' WHERE outcome = 'shipped' AND last = 2",
                "UPDATE attempts SET lane = 'groups' WHERE outcome = 'shipped' AND last = 2",
                "UPDATE attempts SET outcome = 'offline' WHERE outcome = 'shipped' AND last = 2",
                "DELETE FROM attempts WHERE outcome = 'shipped' AND last = 2",
            )
        ),
        *(
            (
                statement,
                "entries in doubt without a request that left it open: counted 1, noted 0 (first: entry 4)",
            )
            for statement in (
                "UPDATE entries SET attempt = 1 WHERE seq = 4",
                "UPDATE entries SET sends = 0 WHERE seq = 4",
                "UPDATE attempts SET outcome = 'wait' WHERE id = (SELECT attempt FROM entries WHERE seq = 4)",
            )
        ),
        (
            "UPDATE waits SET profile = 'eve'",
            "profiles held without an entry in doubt: counted 1, noted 0 (first: entry 4)",
        ),
        (
            "UPDATE waits SET cause = 'settle_after', behind = 6",
            "waits for a late copy of nothing that was sent: counted 1, noted 0 (first: entry 6)",
        ),
        (
            (
                "INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span)"
                " SELECT lane, group_key, profile, cause, behind, boot, at, span FROM waits"
            ),
            "second waits of one profile: counted 1, noted 0 (first: entry 4)",
        ),
    ],
)
def test_wrong_row_is_named(story, statement, wrong):
    assert wrong in told(story, statement)


OPEN = "INSERT INTO attempts (lane, epoch, first, last, picked, entries, bytes, digest, started_at, updates) "


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        (
            "VALUES ('people', (SELECT epoch FROM shipper), 6, 7, NULL, 3, 9, '', 0, 1)",
            ["entries of the request under way: counted 2, noted 3"],
        ),
        (
            "VALUES ('people', (SELECT epoch FROM shipper), 3, 3, '[3]', 1, 9, '', 0, 1)",
            [],  # what it carries is not to be sent: see below
        ),
        (
            "VALUES ('people', 1, 6, 7, NULL, 2, 9, '', 0, 1)",
            ["requests under way that no shipper waits for: counted 1, noted 0 (first: entry 6)"],
        ),
        (
            "SELECT 'people', epoch, seq, seq, NULL, 1, 9, '', 0, 1 FROM shipper, entries WHERE seq IN (6, 7)",
            [
                "requests under way: counted 2, noted 1",
                "entries of the request under way: counted 1, noted 2",
            ],
        ),
        ("VALUES ('people', (SELECT epoch FROM shipper), 6, 7, NULL, 2, 9, '', 0, 1)", []),
    ],
)
def test_wrong_open_attempt_is_named(story, values, wrong):
    disagreements = told(story, OPEN + values)
    assert [line for line in disagreements if "request" in line] == wrong
    if "'[3]'" in values:
        assert "sending: counted 0, noted 1" in disagreements


def test_disagreement_text_names_first_entry(story):
    with closing(sqlite3.connect(story)) as connection, connection:
        connection.execute("UPDATE entries SET sends = 1 WHERE seq >= 6")
    connection.close()
    audited = audit(story)
    assert (audited.entries, audited.attempts) == (7, 5)
    assert audited.disagreements == (
        Disagreement(account="pending entries that were sent", counted=2, noted=0, first=6),
    )


def test_what_is_no_journal_is_refused(tmp_path, path):
    with pytest.raises(JournalMissing):
        audit(path)
    foreign = tmp_path / "notes.txt"
    foreign.write_text("milk, bread, tickets\n" * 300)
    with pytest.raises(NotAJournal):
        audit(foreign)


def test_damage_is_told_as_damage(story):
    with closing(sqlite3.connect(story)) as connection, connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entries'").fetchone()
    connection.close()
    with story.open("r+b") as file:
        file.seek((page - 1) * PAGE_SIZE)
        file.write(b"\xff" * PAGE_SIZE)
    with pytest.raises(JournalError):
        audit(story)


# --- a lane's cursor never passes what is pending


def numbered(who, count):
    return [row(who, number=number) for number in range(count)]


def test_halves_in_doubt_let_nothing_pass(path, journal, shipper, clock):
    journal.append(numbered("ada", 200) + numbered("bob", 1_500))
    sends = shipper(Scripted(REFUSED, RESET))
    sends._enter()  # one shipper for all calls, as `run` is: the halves stay
    sends.ship()
    clock.now += 2  # ada settles for 28 s more
    report = sends.ship()
    assert (report.shipped, report.pending) == (1_500, 100)
    assert audit(path).agrees


def test_discarded_half_lets_nothing_pass(path, journal, shipper, clock):
    journal.append(numbered("ada", 200) + numbered("bob", 1_500))
    sends = shipper(Scripted(REFUSED, PATIENCE))
    sends._enter()
    sends.ship()
    journal.discard("seq=1..100")
    clock.now += 4_000
    assert sends.ship().shipped == 1_600
    assert audit(path).agrees


def test_settling_profiles_let_nothing_pass(path, journal, shipper, clock):
    journal.append([row("ada")])
    sends = shipper(Scripted(RESET))
    sends.ship()
    clock.now += 2
    journal.append(numbered("ada", 10_500))
    sends.ship()
    journal.append(numbered("ada", 2_000) + numbered("eve", 1_500))
    sends.ship()
    assert audit(path).agrees
    clock.now += 30
    report = sends.ship()
    assert (report.shipped, report.pending, report.stopped_by) == (14_001, 0, "done")
    assert audit(path).agrees


def test_retried_entry_goes_with_its_range(journal, shipper):
    journal.append(numbered("ada", 3))
    journal.discard("seq=2")

    def taken_up_meanwhile(*_):
        journal.retry("seq=2")
        return UNREACHABLE

    sends = shipper(Scripted(taken_up_meanwhile))
    assert sends.ship().stopped_by == "offline"
    journal.discard("seq!=2")
    report = sends.ship()
    assert (report.stopped_by, report.shipped, report.pending) == ("done", 1, 0)


# --- after whatever happens


PAYLOADS = {
    "$set": lambda number: {f"p{number % 3}": number},
    "$add": lambda _: {"visits": 1},
    "$union": lambda number: {"seen": [number]},
    "$set_once": lambda number: {"first": number},
    "$unset": lambda _: ["p1"],
    "$delete": lambda _: "",
}
FILTERS = ["state=in_doubt", "state=rejected", "state=discarded", "state=waiting", "op=add", "profile=u0"]
BAD = {"$ip": "bad"}  # what this service refuses


class Moody:
    """A service that refuses requests with something bad in them, and a network that does what it likes."""

    def __init__(self, chance):
        self.chance = chance
        self.moody = True
        self.carried = Counter()  # requests that may have been applied, by entry
        self.accepted = Counter()

    def reach(self, lane):  # noqa: ARG002  # as a transport
        return "connection refused" if self.moody and self.chance.random() < 0.3 else None

    def send(self, lane, body, *, timeout=None):  # noqa: ARG002
        numbers = [update["$time"] for update in json.loads(body)]
        mood = self.chance.random() if self.moody else 1.0
        for until, answer in ((0.08, UNREACHABLE), (0.11, FORBIDDEN), (0.14, PATIENCE)):
            if mood < until:
                return answer
        if mood < 0.27:
            self.carried.update(numbers)
            return RESET
        if b'"$ip":"bad"' in body:
            return REFUSED
        self.carried.update(numbers)
        self.accepted.update(numbers)
        return ACCEPTED

    def close(self):
        pass


class Life:
    """A journal to which everything happens that can happen to one; after each step the accounts agree."""

    def __init__(self, path, seed):
        self.path = path
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.service = Moody(self.chance)
        self.journal = Journal(path, token="T", durability="process")
        self.recorded = 0
        self.people = [f"u{number}" for number in range(self.chance.choice([1, 3, 8, 40]))]
        self.bad = self.chance.choice([0, 0.01, 0.05, 0.3])
        self.told = "it began"
        self.begin()

    def begin(self):
        """Another shipper, which may have another policy."""
        self.policy = ShippingPolicy(
            in_doubt=self.chance.choice(["resend", "hold", "drop"]),
            settle_after=self.chance.choice([0, 30]),
            batch_updates=self.chance.choice([1, 3, 7, 50, 200]),
        )
        self.shipper = Shipper(
            self.journal,
            self.service,
            self.policy,
            clock=self.clock,
            uptime=self.clock.uptime,
            chance=self.chance.random,
        )
        if self.chance.random() < 0.5:
            self.shipper._enter()  # as `run`: one shipper for many calls

    def step(self):
        steps = {
            self.record: 6,
            self.ship: 6,
            self.wait: 3,
            self.decide: 3,
            self.edit: 1,
            self.die: 1,
            self.restart: 1,
        }
        (step,) = self.chance.choices(list(steps), weights=list(steps.values()))
        self.told = f"{step.__name__}: {step()}"
        self.agree()

    def agree(self):
        audited = audit(self.path)
        assert audited.agrees, (self.told, [str(disagreement) for disagreement in audited.disagreements])

    def record(self):
        rows = []
        for _ in range(self.chance.choice([1, 1, 5, 30, 400])):
            self.recorded += 1
            operator = self.chance.choice(list(PAYLOADS))
            written = row(
                self.chance.choice(self.people),
                number=self.recorded,
                operator=operator,
                payload=PAYLOADS[operator](self.recorded),
                group="site" if self.chance.random() < 0.1 else None,
                **(BAD if self.chance.random() < self.bad else {}),
            )
            if self.chance.random() < 0.01:
                written = written._replace(state="rejected", reason="malformed")
            rows.append(written)
        self.journal.append(rows)
        return len(rows)

    def ship(self):
        return self.shipper.ship(limit=self.chance.choice([None, None, 1, 5, 100]))

    def wait(self):
        self.clock.now += self.chance.choice([1, 5, 31, 400, 4_000])
        if self.chance.random() < 0.1:
            self.clock.boot, self.clock.now = f"{self.clock.boot}?", self.chance.choice([0.0, self.clock.now])
        return self.clock.now

    def decide(self):
        number = self.chance.randrange(self.recorded + 1)
        words = self.chance.choice([*FILTERS, f"seq={number}", f"seq=..{number}", f"seq={number}.."])
        verb = self.chance.choice(list(Verb))
        with JournalReader(self.path) as reader:
            weighed = reader.weigh(verb, words)
        done = self.journal.retry(words) if verb is Verb.RETRY else self.journal.discard(words)
        assert done == weighed
        return verb, words, done

    def edit(self):
        seq = self.chance.randrange(self.recorded + 1)
        with JournalReader(self.path) as reader:
            entry = reader.entry(seq)
        if entry is None:
            return None
        identity = {
            name: value for name, value in entry.message.items() if name.endswith("id") or "key" in name
        }
        try:
            self.journal.edit(seq, {**identity, "$set": {"p0": "edited"}})
        except (JournalError, InvalidOperation) as error:
            return error
        return seq, entry.state

    def die(self):
        """Between a claim and its settlement, while a person decides."""
        claims, now, uptime = self.journal.claims, self.clock.now, self.clock.uptime()
        epoch = claims.take_over(now, uptime, service="", policy=self.policy)
        lane = self.chance.choice([Lane.PEOPLE, Lane.GROUPS])
        size = ClaimSize(self.policy.batch_updates, self.policy.batch_bytes)
        claim = claims.claim(lane, size, Shipping(epoch, now, uptime, self.policy))
        self.agree()
        if claim is not None:
            self.service.carried.update(update["$time"] for update in json.loads(claim.body))
        decided = self.decide()
        self.restart()
        return claim and claim.numbers, decided

    def restart(self):
        if self.shipper._inside:
            self.shipper._leave()
        self.begin()

    def end(self):
        """The network is back, and nothing is left but what a person must decide about."""
        self.service.moody = False
        for _ in range(60):
            self.clock.now += 90_000
            report = self.shipper.ship()
            self.agree()
            if report.stopped_by == "done":
                break
        assert report.stopped_by == "done"
        connection = self.journal._connection.use()
        held = set(connection.execute("SELECT lane, group_key, profile FROM waits WHERE cause = 'hold'"))
        with JournalReader(self.path) as reader:
            entries = reader.entries(limit=10**6)
        for entry in entries:
            number = entry.message["$time"]
            assert entry.sends == self.service.carried[number], entry
            assert self.service.accepted[number] == (entry.state is State.SHIPPED), entry
            if entry.state in {State.PENDING, State.WAITING, State.IN_DOUBT}:
                assert (entry.lane, entry.group_key, entry.profile) in held, entry
        self.journal.close()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 60))])
def test_random_shipping_keeps_accounts_right(path, seed):
    life = Life(path, seed)
    for _ in range(40):
        life.step()
    life.end()
