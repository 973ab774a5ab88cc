"""The probe, asked of local services that differ: its answers tell them apart, and nothing of it stays."""

import json

import pytest

from simulator import Dialect
from simulator.conformance import evidence
from simulator.conformance.probing import QUESTIONS, Probe
from simulator.conformance.project import Project, ProjectFailed
from simulator.connection import Answer
from simulator.service.server import Service
from tests.services import RawService, answer

PROMPT = {
    "lag": "at once",
    "order": "as written",
    "add": "the number is added, the text stays",
    "mixed": "the valid one is applied",
    "old_event": "as if it were taken",
    "import_token": "yes, and any other",
    "delete": "at once",
}


class Clock:
    """A clock that sleeping moves on."""

    now = 1_900_000_000.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def probed(service, clock, seconds=300):
    project = Project(service.url, service.url, 1, "T", ("reader", "secret"))
    return Probe(project, "probe-1", seconds=seconds, clock=clock, sleep=clock.sleep)


def found(seconds=300, **options):
    """The answers of a service with these options, in the time that a clock gives; nothing of it may stay."""
    clock = Clock()
    with Service(clock=clock, **options) as service:
        probe = probed(service, clock, seconds)
        findings = [*probe.findings(), probe.delete(60)]
        assert service.profiles() == {}
    assert sorted(one.name for one in findings) == sorted(QUESTIONS)
    return {one.name: one.answer for one in findings}


@pytest.mark.parametrize(
    ("options", "differs"),
    [
        ({}, {}),
        ({"read_lag": 5}, {"lag": "between 3.8 and 7.8 s", "delete": "between 3.8 and 7.8 s"}),
        ({"read_lag": [0, 0, 30]}, {"lag": "at once, and reads go back"}),
        ({"dialect": Dialect(add_to_other="replace")}, {"add": "the number is added, the text is replaced"}),
        ({"mixed": "reject-all"}, {"mixed": "nothing is applied"}),
        ({"old_events": "refuse"}, {"old_event": "that it is refused"}),
    ],
)
def test_probe_tells_services_apart(options, differs):
    assert found(**options) == PROMPT | differs


@pytest.mark.parametrize(
    ("options", "unanswered"),
    [
        ({"read_lag": 3_600}, {"lag", "order", "add", "mixed", "delete"}),
        ({"merged": {"probe-1": "ada"}}, {"lag", "order", "add", "mixed", "delete"}),
        ({"hidden": ["fence"]}, {"order", "add", "mixed"}),
    ],
)
def test_probe_claims_nothing_unseen(options, unanswered):
    assert found(**options) == PROMPT | dict.fromkeys(unanswered)


def test_unseen_deletion_is_told():
    clock = Clock()
    with Service(clock=clock, read_lag=5) as service:
        probe = probed(service, clock)
        list(probe.findings())
        finding = probe.delete(1)
        assert (finding.answer, service.profiles()) == (None, {})
        assert "reads still showed" in finding.seen


def test_probe_asks_for_its_time_only():
    clock = Clock()
    began = clock.now
    with Service(clock=clock, read_lag=3_600) as service:
        list(probed(service, clock, seconds=100).findings())
    assert 50 <= clock.now - began <= 100


@pytest.mark.parametrize("at", range(1, 10))
@pytest.mark.parametrize("kind", ["ack_lost", "reset"])
def test_failed_probe_deletes_its_profile(at, kind):
    """Whichever of its requests fails; the ninth is its own deletion, which goes again."""
    clock = Clock()
    with Service(clock=clock, faults=[{"at": at, "fault": kind}]) as service:
        probe = probed(service, clock)
        with pytest.raises(ProjectFailed, match="cannot be asked"):
            for _ in probe.findings():
                pass
            probe.delete(60)
        assert probe.written is (at > 3)
        probe.delete(60)
        assert service.profiles() == {}


def test_refused_reader_writes_nothing():
    clock = Clock()
    with Service(credentials=("reader", "other"), clock=clock) as service:
        probe = probed(service, clock)
        with pytest.raises(ProjectFailed, match="answers 401 for /api/query/engage") as caught:
            next(probe.findings())
        assert "service account" in caught.value.hint
        assert (service.messages(), probe.delete(60).seen) == ([], "nothing was written")


@pytest.mark.parametrize(
    ("turn", "says"),
    [
        (answer(403, b"{}"), "answers 403"),
        (answer(429, b"{}", retry_after="7"), "answers 429 for /api/query/engage; it wants 7 s of rest"),
        (answer(302, b"", location="http://login.test/"), "answers 302"),
        (answer(200, b"<html>"), "does not answer queries"),
        (answer(200, b'{"results": [1]}'), "does not answer queries"),
        (b"nonsense\r\n\r\n", "cannot be asked"),
    ],
)
def test_strange_answer_is_told(turn, says):
    with RawService(turn) as service, pytest.raises(ProjectFailed) as caught:
        next(probed(service, Clock()).findings())
    assert says in str(caught.value)
    assert caught.value.hint


def test_refused_update_is_told():
    found = answer(200, b'{"results": []}')
    refused = answer(200, b'{"status": 0, "error": "no such project"}')
    with RawService(found, refused, refused, refused, refused) as service:
        with pytest.raises(ProjectFailed, match="refuses the first update: no such project"):
            list(probed(service, Clock()).findings())
        assert [request.target.partition("?")[0] for request in service.requests] == [
            "/api/query/engage",
            "/import",
            "/import",
            "/track",
            "/engage",
        ]


def test_fence_may_overtake_earlier_requests():
    """The order of requests is not documented: the profile is read once more, some time after the fence."""
    read = [None, {}, {}, {}, {"fence": True, "number": 10}, {"fence": True, "number": 11, "text": "seven"}]
    before, first, *more, overtaken, last = [
        answer(
            200,
            json.dumps(
                {"results": [{"$distinct_id": "probe-1", "$properties": one}] * (one is not None)}
            ).encode(),
        )
        for one in read
    ]
    taken = answer(200, b'{"status": 1, "error": null}')
    turns = [before, *[taken] * 4, first, *more, *[taken] * 4, overtaken, last]
    with RawService(*turns) as service:
        shown = {one.name: one.answer for one in probed(service, Clock()).findings()}
    assert shown["add"] == "the number is added, the text stays"


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        ([0, 1, 2], "as written"),
        ([1, 0, 2], "by $time"),
        ([2, 1, 0], "neither as written nor by $time"),
        ([0, 1], None),
        ([0, 1, 1], None),
        ([0, 1, 2, 2], None),
        (None, None),
        ("012", None),
    ],
)
def test_order_is_read_from_list(shown, says):
    assert evidence.order(shown, [0, 1, 2], [20, 10, 30])[0] == says


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ({"number": 10, "text": "seven"}, "nothing is added, the text stays"),
        ({"number": 11}, "the number is added, the text goes"),
        ({"number": 11, "text": None}, "the number is added, the text is replaced"),
        ({"number": [11], "text": "seven"}, None),
        ({"text": "seven"}, None),
    ],
)
def test_addition_is_read_from_profile(profile, says):
    assert evidence.addition(profile, None)[0] == says


@pytest.mark.parametrize(
    ("status", "text", "says"),
    [
        (200, b"1", "as if it were taken"),
        (200, b"0", "that it is refused"),
        (400, b'{"status": 0, "error": "too old"}', "that it is refused"),
        (401, b"", "that it is refused"),
        (429, b"", None),
        (503, b'{"status": 1}', None),
        (302, b"1", None),
    ],
)
def test_old_event_is_read_from_answer(status, text, says):
    assert evidence.old_event(Answer(status, text))[0] == says


@pytest.mark.parametrize(
    ("real", "made_up", "says"),
    [
        (400, 401, "yes"),
        (200, 403, "yes"),
        (400, 400, "yes, and any other"),
        (401, 401, "no"),
        (403, 400, "no"),
        (429, 401, None),
        (503, 503, None),
    ],
)
def test_import_token_needs_a_control(real, made_up, says):
    assert evidence.import_token(Answer(real, b""), Answer(made_up, b""))[0] == says


def test_probe_sends_what_it_announces():
    """One profile; an event too old for /track, and two that /import must refuse."""
    clock = Clock()
    with Service(clock=clock) as service:
        probe = probed(service, clock)
        list(probe.findings())
        kept = [(one.endpoint, one.verdict) for one in service.messages() if one.endpoint != "/engage"]
        assert kept == [("/import", "rejected"), ("/import", "rejected"), ("/track", "rejected")]
        assert list(service.profiles()) == ["probe-1"]
        assert service.profiles()["probe-1"]["list"] == list(range(20))
