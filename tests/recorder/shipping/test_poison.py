"""Poison entries: the service answers no request that carries one. They cost their own profile, and nobody else."""

import contextlib
import json
import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder import (
    Journal,
    JournalConsumer,
    JournalReader,
    Recorder,
    Shipper,
    ShippingPolicy,
    audit,
    diagnose,
)
from recorder.journal.uptime import Uptime
from recorder.model.policy import MOST_UPDATES
from recorder.shipping.drain import Call
from recorder.shipping.verdicts import Answer
from tests.doubles import ACCEPTED, REFUSED, RESET, URL
from tests.profiles import sampled

FAILURES = ("error", "reset", "time-out")
THREE_BACK_OFFS = 3 * 300.0
LARGE = [
    (4_000, 20, "resend"),
    (4_000, 20, "hold"),
    (4_000, 1, "drop"),
    (180, 20, "resend"),
    (60, 20, "resend"),
]
WALL = 1_700_000_000.0


def place_of(update):
    """Return the place of an update, or of an event, in what was recorded."""
    return next(update[key]["n"] for key in ("$set", "$append", "properties") if key in update)


class Service:
    """Service on a simulated clock that never answers requests with a poison update; a shipper's transport.

    Attributes:
        down: It answers nothing before this moment.
        poison: The failure of each update that is poison, by its place.
    """

    def __init__(self, poison=None, down=0.0):
        self.poison = poison or {}
        self.down = down
        self.seconds = 0.0
        self.sends = Counter()
        self.arrived = {}
        self.requests = []
        self.refused = set()
        self.patience = 0
        self.headers = {}

    def uptime(self):
        return Uptime("boot", self.seconds)

    def clock(self):
        return WALL + self.seconds

    def reach(self, lane):  # noqa: ARG002  # as a transport
        return None

    def close(self):
        pass

    def send(self, lane, body, *, timeout=None):  # noqa: ARG002  # as a transport
        places = [place_of(update) for update in json.loads(body)]
        self.seconds += 0.05
        self.requests.append((self.seconds, places))
        assert len(self.requests) < 20_000, "a drain that never ends"
        if self.patience:
            self.patience -= 1
            return Answer(left=True, url=URL, status=429, headers={"retry-after": "30"})
        failures = [self.poison[place] for place in places if place in self.poison]
        if self.seconds < self.down:
            failures = ["error"]
        if not failures and self.refused & set(places):
            return REFUSED
        self.sends.update(places)
        if not failures:
            self.arrived.update(dict.fromkeys(places, self.seconds))
            return ACCEPTED
        if failures[0] == "time-out":
            self.seconds += 60.0
        return RESET if failures[0] == "reset" else self.error()

    def error(self):
        return Answer(left=True, url=URL, status=500, headers=self.headers, body=b"<html>")


class Device:
    """A journal, and the rounds in which the shipper's own loop ships it."""

    def __init__(self, path, service, policy=None, seed=1):
        self.path, self.service = path, service
        self.journal = Journal(path, token="T", durability="process")
        self.recorder = Recorder("T", self.journal)
        self.policy = policy or ShippingPolicy()
        self.chance = random.Random(seed).random
        self.restart()

    def restart(self):
        self.shipper = Shipper(
            self.journal,
            self.service,
            self.policy,
            clock=self.service.clock,
            uptime=self.service.uptime,
            chance=self.chance,
        )

    def record(self, profiles, first=0, *, hazardous=False):
        """Record one update for each profile, numbered by its place; one that may apply twice is hazardous."""
        with self.recorder.batch() as batch:
            for n, profile in enumerate(profiles, first):
                (batch.people_append if hazardous else batch.people_set)(profile, {"n": n})

    def round(self):
        assert self.shipper._enter()
        try:
            return self.shipper._drain(Call())
        finally:
            self.shipper._leave()

    def run(self, seconds, done=lambda: False):
        """Ship as `run` does, until then or until it is done."""
        until = self.service.seconds + seconds
        while self.service.seconds < until and not done():
            report = self.round()
            wait = (report.retry_at or 0.0) - self.service.clock()
            self.service.seconds += max(1.0, wait if report.retry_at else 0.0)
        return self

    def statistics(self):
        return self.journal.statistics(self.service.clock())

    def close(self):
        self.recorder.close()
        self.journal.close()
        assert audit(self.path).agrees, audit(self.path).disagreements


@pytest.fixture
def device(tmp_path):
    made = []

    def make(service, policy=None):
        made.append(Device(tmp_path / f"kiosk-{len(made)}.db", service, policy))
        return made[-1]

    yield make
    for one in made:
        one.close()


def places_of(poison, total, where, rnd):
    match where:
        case "first":
            return range(poison)
        case "last":
            return range(total - poison, total)
        case "middle":
            return range((total - poison) // 2, (total + poison) // 2)
    return rnd.sample(range(total), poison)


def isolate(path, *, good, poison, where, per_profile, in_doubt, failures, seed):
    """Ship good entries and poison for a day; assert what the good ones are promised."""
    rnd = random.Random(seed)
    places = places_of(poison, good + poison, where, rnd)
    service = Service({place: rnd.choice(failures) for place in places})
    device = Device(path, service, ShippingPolicy(in_doubt=in_doubt), seed)
    # Profiles of their own for poison, with later entries behind it, which are nobody's promise.
    names = (f"poison-{n}" if n in service.poison else f"u{n // per_profile}" for n in range(good + poison))
    device.record(names, hazardous=in_doubt == "resend")  # the other policies would keep hazardous ones back
    wanted = {n for n in range(good + poison) if n not in service.poison}
    device.run(86_400, lambda: service.arrived.keys() >= wanted)
    assert service.arrived.keys() >= wanted
    assert max(service.sends[n] for n in wanted) <= 1 + math.log2(MOST_UPDATES)
    silent = 60.0 * sum(
        any(service.poison.get(place) == "time-out" for place in request) for _, request in service.requests
    )
    assert service.seconds - silent <= THREE_BACK_OFFS
    device.close()
    return service


@settings(max_examples=10)
@given(
    good=st.integers(20, 120),
    poison=st.integers(0, 4),
    where=st.sampled_from(["first", "middle", "last", "random"]),
    per_profile=st.integers(1, 5),
    in_doubt=st.sampled_from(["resend", "hold", "drop"]),
    failures=st.sets(st.sampled_from(FAILURES), min_size=1).map(sorted),
    seed=st.integers(0, 999),
)
def test_poison_costs_its_own_profile(tmp_path_factory, **mix):
    isolate(tmp_path_factory.mktemp("poison") / "kiosk.db", **mix)


@pytest.mark.long
@pytest.mark.parametrize(
    ("where", "failures"),
    [
        *((where, FAILURES) for where in ("first", "middle", "last", "random")),
        *(("random", (failure,)) for failure in FAILURES),
    ],
)
@pytest.mark.parametrize("size", LARGE)
def test_much_poison_costs_its_profiles(tmp_path, size, where, failures):
    good, poison, in_doubt = size
    isolate(
        tmp_path / "kiosk.db",
        good=good,
        poison=poison,
        where=where,
        per_profile=3,
        in_doubt=in_doubt,
        failures=failures,
        seed=good + poison,
    )


# --- outages


def ends_well(kiosk, entries, hours):
    """Ship entries through an outage from the beginning; assert that the backlog goes in full requests then."""
    service = kiosk.service
    service.down = hours * 3_600.0
    kiosk.record(f"u{n}" for n in range(entries))
    kiosk.run(service.down)
    during = len(service.requests)
    assert during <= 20 + service.down / 100
    kiosk.run(3_600, lambda: len(service.arrived) == entries)
    assert len(service.arrived) == entries
    assert len(service.requests) - during <= entries / 200 + 6


def test_outage_makes_no_suspects(device):
    ends_well(device(Service()), 600, hours=1)


@pytest.mark.parametrize("minutes", sampled(range(1, 60, 7), 3))
def test_outage_keeps_each_profiles_order(device, minutes):
    """Not even the first request that is answered overtakes what was sent in vain."""
    service = Service(down=60.0 * minutes)
    kiosk = device(service, ShippingPolicy(settle_after=1.0, batch_updates=2))
    kiosk.record(f"u{n % 7}" for n in range(60))
    kiosk.run(service.down + 3_600, lambda: len(service.arrived) == 60)
    for profile in range(7):
        assert [place for place in service.arrived if place % 7 == profile] == list(range(profile, 60, 7))


@pytest.mark.long
@pytest.mark.parametrize("in_doubt", ["resend", "hold", "drop"])
def test_long_outage_makes_no_suspects(device, in_doubt):
    ends_well(device(Service(), ShippingPolicy(in_doubt=in_doubt)), 4_000, hours=12)


@pytest.mark.long
def test_outage_brings_few_in_doubt(device):
    """A day without an answer asks with the same profiles again, rather than with new ones each time."""
    service = Service(down=math.inf)
    kiosk = device(service)
    kiosk.record(f"u{n}" for n in range(600))
    kiosk.run(86_400)
    assert kiosk.statistics().in_doubt <= 200 + 32 + len(service.requests) / 16


# --- others, meanwhile


def isolated(device, policy=None, *, poison=(0,), behind=1):
    """Return a device on which poison is alone by now, with later entries of its profile behind it."""
    service = Service(dict.fromkeys(poison, "error"))
    kiosk = device(service, policy)
    kiosk.record(["p"] * (max(poison) + 1 + behind) + [f"u{n}" for n in range(30)])
    kiosk.run(3_600)
    assert kiosk.statistics().shipped == 30 + min(poison)
    return kiosk


def test_fresh_entries_pass_isolated_poison(device):
    kiosk = isolated(device)
    kiosk.record([f"fresh{n}" for n in range(5)], first=100)
    assert kiosk.round().shipped == 5


def test_isolated_poison_has_its_own_back_off(device):
    """It is tried every five minutes at most, over restarts, and an explicit call does not try it more often."""
    kiosk = isolated(device)
    before = len(kiosk.service.requests)
    for _ in range(200):
        kiosk.restart()
        kiosk.shipper.ship()
        kiosk.service.seconds += 30.0
    assert 6_000 / 330 <= len(kiosk.service.requests) - before <= 6_000 / 90


def test_round_tries_each_suspect_once(device):
    """Time-outs take longer than the waits: what is due again meanwhile is left to the next round."""
    service = Service(dict.fromkeys(range(8), "time-out"))
    kiosk = device(service)
    kiosk.record(f"u{n}" for n in range(60))
    kiosk.run(3_600)
    service.seconds += 301
    before = len(service.requests)
    kiosk.round()
    assert [places for _, places in service.requests[before:]] == [[n] for n in range(8)]


def test_round_ends_while_entries_come(device):
    """Or suspects, lanes that failed and pruning would wait for as long as an app records."""

    class Busy(Service):
        def send(self, lane, body, *, timeout=None):
            answer = super().send(lane, body, timeout=timeout)
            assert len(self.requests) < 300
            kiosk.record(["busy"], 1_000 + len(self.requests))
            return answer

    kiosk = device(Busy({0: "error"}), ShippingPolicy(batch_updates=10))
    kiosk.record(f"u{n}" for n in range(10))
    rounds = 0
    while not kiosk.service.arrived.keys() >= set(range(1, 10)):
        kiosk.run(1.0)
        rounds += 1
    assert rounds < 120


def test_reader_tells_what_is_never_answered(device):
    kiosk = isolated(device)
    with JournalReader(kiosk.path) as reader:
        unanswered = reader.shipping().unanswered
        assert (unanswered.profiles, unanswered.first) == (1, 1)
        assert unanswered.tries == kiosk.service.sends[0] > 10
        assert reader.hold(reader.entry(2)).behind == 1
    assert "never answered" in kiosk.round().message
    (finding,) = [finding for finding in diagnose(kiosk.path) if finding.name == "unanswered"]
    assert "1 profile is never answered" in finding.text


def test_mended_service_takes_poison(device):
    kiosk = isolated(device, behind=300)
    kiosk.service.poison.clear()
    kiosk.run(301)
    assert kiosk.statistics().unsent == 0
    with JournalReader(kiosk.path) as reader:
        assert reader.shipping().unanswered is None


def test_good_entries_before_poison_arrive(device):
    """Of one profile, what was recorded before a poison entry arrives; what came after it waits."""
    kiosk = isolated(device, poison=(7, 9), behind=4)
    assert set(range(7)) <= kiosk.service.arrived.keys()
    assert max(kiosk.service.sends[n] for n in range(7)) <= 1 + math.log2(MOST_UPDATES)
    assert not kiosk.service.arrived.keys() & set(range(7, 14))


# --- decisions


def test_retried_poison_is_tried_at_once(device):
    """It still travels apart: nobody else's entries go with it."""
    kiosk = isolated(device)
    before = len(kiosk.service.requests)
    kiosk.service.seconds += 40.0  # settle_after is over, its own back-off is not
    kiosk.journal.retry("state=in_doubt")
    kiosk.record([f"fresh{n}" for n in range(5)], first=100)
    kiosk.round()
    assert [places for _, places in kiosk.service.requests[before:]] == [list(range(100, 105)), [0]]


def test_discarded_poison_lets_its_profile_go(device):
    kiosk = isolated(device)
    kiosk.journal.discard("seq=1")
    kiosk.run(301)
    assert kiosk.statistics().unsent == 0
    assert 1 in kiosk.service.arrived


def test_edited_poison_arrives(device):
    kiosk = isolated(device)
    kiosk.journal.edit(1, {"$distinct_id": "p", "$set": {"n": 50}})
    kiosk.run(301)
    assert kiosk.statistics().unsent == 0
    assert kiosk.service.arrived[50] < kiosk.service.arrived[1]


def test_forgotten_poison_leaves_no_wait(device):
    kiosk = isolated(device)
    kiosk.journal.forget("p")
    kiosk.record(["p"], first=100)
    kiosk.run(301)
    assert 100 in kiosk.service.arrived
    assert kiosk.statistics().unsent == 0


def test_held_poison_stays_apart_when_retried(device):
    """Under `hold` a person may retry all that is in doubt; what is good arrives, each at most eight times."""
    service = Service({0: "error"})
    kiosk = device(service, ShippingPolicy(in_doubt="hold"))
    kiosk.record(["p"] + [f"u{n}" for n in range(100)], hazardous=True)
    for _ in range(10):
        kiosk.run(120)
        kiosk.journal.retry("state=in_doubt")
    assert len(service.arrived) == 100
    assert max(service.sends[n] for n in service.arrived) <= 8


# --- other answers, other ways to ship


def test_rejection_beside_poison_is_isolated(device):
    """An entry that is refused is found among suspects, too, and poison beside it stays alone."""
    service = Service({5: "reset"})
    service.refused = {9, 40}
    kiosk = device(service)
    kiosk.record(f"u{n}" for n in range(60))
    kiosk.run(3_600)
    assert (kiosk.statistics().shipped, kiosk.statistics().rejected) == (57, 2)


def test_patience_delays_suspects_only(device):
    service = Service({3: "error"})
    kiosk = device(service)
    kiosk.record(f"u{n}" for n in range(60))
    for _ in range(20):
        kiosk.run(60)
        service.patience = 1
    assert len(service.arrived) == 59
    assert max(service.sends[n] for n in service.arrived) <= 8


def test_error_with_patience_delays_its_entry(device):
    """A Retry-After beside an error page is about the entry that gets it, once that is alone."""
    kiosk = isolated(device)
    kiosk.service.headers = {"retry-after": "3600"}
    for pause, requests in ((301, 1), (0, 0), (3_500, 0), (200, 1)):
        before = len(kiosk.service.requests)
        kiosk.service.seconds += pause
        kiosk.round()
        assert len(kiosk.service.requests) - before == requests
    kiosk.record([f"fresh{n}" for n in range(5)], first=100)
    assert kiosk.round().shipped == 5


@pytest.mark.parametrize("settle_after", [0.0, 1.0, 600.0])
def test_any_settling_time_isolates_poison(device, settle_after):
    service = Service({0: "error"})
    kiosk = device(service, ShippingPolicy(settle_after=settle_after))
    kiosk.record(f"u{n}" for n in range(60))
    kiosk.run(8 * settle_after + 600)
    assert len(service.arrived) == 59
    assert max(service.sends[n] for n in service.arrived) <= 8


def test_folded_runs_past_poison(device):
    service = Service({0: "error"})
    kiosk = device(service, ShippingPolicy(fold=True))
    kiosk.record(["p"] + [f"u{n % 10}" for n in range(100)])
    kiosk.run(900)
    assert kiosk.statistics().shipped == 100
    with JournalReader(kiosk.path) as reader:
        assert max(entry.sends for entry in reader.entries("profile!=p", limit=200)) <= 8


def test_single_calls_isolate_poison(device):
    """One-shot calls, each a new shipper with a limit, deliver what is good."""
    service = Service({0: "error"})
    kiosk = device(service)
    kiosk.record(f"u{n}" for n in range(60))
    for _ in range(30):
        kiosk.restart()
        kiosk.shipper.ship(limit=25)
        service.seconds += 60.0
    assert len(service.arrived) == 59
    assert max(service.sends[n] for n in service.arrived) <= 8


def test_poison_that_kills_its_shipper(device):
    """A process that dies with its request counts as no answer."""
    service = Service()
    kiosk = device(service)
    kiosk.record(f"u{n}" for n in range(60))
    sound = service.send

    def send(lane, body, *, timeout=None):
        if b'"u0"' in body:
            raise SystemExit
        return sound(lane, body, timeout=timeout)

    service.send = send
    for _ in range(20):
        kiosk.restart()
        with contextlib.suppress(SystemExit):
            kiosk.round()
        service.seconds += 60.0
    assert len(service.arrived) == 59


def test_each_event_is_its_own_unit(device):
    """Events have no profile: one that is never answered costs no other."""
    service = Service({4: "error"})
    kiosk = device(service)
    consumer = JournalConsumer(kiosk.journal)
    for n in range(60):
        message = {"event": "opened", "properties": {"token": "T", "n": n, "$insert_id": str(n)}}
        consumer.send("events", json.dumps(message))
    kiosk.run(600)
    assert len(service.arrived) == 59
    assert max(service.sends[n] for n in service.arrived) <= 8
    with JournalReader(kiosk.path) as reader:
        assert reader.shipping().unanswered.first == 5
        assert reader.hold(reader.entry(5)).behind == 5
    kiosk.journal.discard("seq=5")
    kiosk.run(301)
    assert kiosk.statistics().unsent == 0
