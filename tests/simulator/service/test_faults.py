"""Fault schedules as data: what is one, and how clearly anything else is refused."""

import json

import pytest

from recorder.model.errors import RestanteError
from simulator.service.faults import (
    FAULTS,
    AckLost,
    Garbage,
    InvalidSchedule,
    Late,
    Part,
    PartialRead,
    Redirect,
    Refuse,
    Reset,
    Slow,
    Status,
    Truncate,
    parse_schedule,
    read_schedule,
)


def test_every_fault_is_parsed():
    assert parse_schedule(
        [
            {"at": 1, "fault": "refuse"},
            {"at": 2, "fault": "reset"},
            {"at": 3, "fault": "ack_lost"},
            {"at": 4, "fault": "status", "code": 503},
            {"at": 5, "fault": "status", "code": 429, "retry_after": 2},
            {"at": 6, "fault": "status", "code": 429, "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"},
            {"at": 7, "fault": "garbage"},
            {"at": 8, "fault": "slow", "seconds": 0.5},
            {"at": 9, "fault": "redirect", "location": "/sign-in"},
            {"at": 10, "fault": "truncate"},
            {"at": 11, "fault": "partial_read"},
            {"at": 12, "fault": "late", "seconds": 2},
            {"at": 13, "fault": "part", "updates": 0},
        ]
    ) == (
        Refuse(at=1),
        Reset(at=2),
        AckLost(at=3),
        Status(at=4, code=503),
        Status(at=5, code=429, retry_after=2),
        Status(at=6, code=429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
        Garbage(at=7),
        Slow(at=8, seconds=0.5),
        Redirect(at=9, location="/sign-in"),
        Truncate(at=10),
        PartialRead(at=11),
        Late(at=12, seconds=2),
        Part(at=13, updates=0),
    )


SETTINGS = {
    "status": {"code": 503},
    "redirect": {"location": "/"},
    "slow": {"seconds": 1},
    "late": {"seconds": 1},
    "part": {"updates": 1},
}
UNREAD = {"refuse", "partial_read"}


def fault(name, **more):
    return {"at": 1, "fault": name, **SETTINGS.get(name, {}), **more}


@pytest.mark.parametrize("name", FAULTS)
def test_applied_has_a_default_per_fault(name):
    (read,) = parse_schedule([fault(name)])
    assert type(read) is FAULTS[name]
    assert read.applied is (name in {"ack_lost", "slow", "truncate", "late", "part"})


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_accepts_applied_false(name):
    (read,) = parse_schedule([fault(name, applied=False)])
    assert read.applied is False


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in UNREAD])
def test_reading_faults_accept_applied_true(name):
    (read,) = parse_schedule([fault(name, applied=True)])
    assert read.applied is True


@pytest.mark.parametrize("name", sorted(UNREAD))
def test_unread_faults_refuse_applied_true(name):
    for refused in (fault(name, applied=True), FAULTS[name](at=1, applied=True)):
        with pytest.raises(InvalidSchedule) as caught:
            parse_schedule([{"at": 2, "fault": "reset"}, refused])
        assert str(caught.value) == (
            f'fault 2 of the schedule: "applied" cannot be true with {name}, which does not read the whole body'
        )


def test_an_empty_schedule_is_one():
    assert parse_schedule([]) == ()


def test_fault_objects_are_kept():
    assert parse_schedule([AckLost(at=2), {"at": 1, "fault": "reset"}]) == (AckLost(at=2), Reset(at=1))


def test_unknown_fault_lists_known_ones():
    with pytest.raises(InvalidSchedule) as caught:
        parse_schedule([{"at": 1, "fault": "explode"}])
    assert '"explode"' in str(caught.value)
    assert all(name in str(caught.value) for name in FAULTS)


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ({"at": 1, "fault": "reset"}, "must be a JSON list"),
        ("reset", "must be a JSON list"),
        (["reset"], """fault 1 of the schedule: must be an object, not 'reset'"""),
        ([{"at": 1}], 'fault 1 of the schedule: "fault" is missing'),
        ([{"at": 1, "fault": ["reset"]}], "unknown fault"),
        ([{"fault": "reset"}], '"at" is missing; it is a whole number from 1'),
        ([{"at": 0, "fault": "reset"}], '"at" must be a whole number from 1, not 0'),
        ([{"at": True, "fault": "reset"}], '"at" must be'),
        ([{"at": 1.0, "fault": "reset"}], '"at" must be'),
        ([{"at": 1, "fault": "reset", "code": 500}], 'reset does not take "code"; it takes at, applied'),
        ([{"at": 1, "fault": "reset", "applied": 1}], '"applied" must be true or false, not 1'),
        ([{"at": 1, "fault": "late", "seconds": 1, "applied": None}], '"applied" must be true or false'),
        ([{"at": 1, "fault": "refuse", "applied": "yes"}], '"applied" must be true or false, not "yes"'),
        ([{"at": 1, "fault": "redirect"}], """"location" is missing; it is a header's text"""),
        ([{"at": 1, "fault": "redirect", "location": None}], '"location" must be'),
        ([{"at": 1, "fault": "redirect", "location": "/\r\nX: y"}], '"location" must be'),
        ([{"at": 1, "fault": "redirect", "location": "/é"}], '"location" must be'),
        ([{"at": 1, "fault": "late"}], '"seconds" is missing; it is seconds from 0 to 86,400'),
        ([{"at": 1, "fault": "late", "seconds": 86_401}], '"seconds" must be'),
        ([{"at": 1, "fault": "truncate", "seconds": 1}], 'truncate does not take "seconds"'),
        ([{"at": 1, "fault": "status"}], '"code" is missing'),
        ([{"at": 1, "fault": "status", "code": 100}], '"code" must be an HTTP status from 200 to 599'),
        ([{"at": 1, "fault": "status", "code": "503"}], '"code" must be'),
        ([{"at": 1, "fault": "status", "code": 503, "retry_after": -1}], '"retry_after" must be'),
        ([{"at": 1, "fault": "status", "code": 503, "retry_after": "1\r\nX: y"}], '"retry_after" must be'),
        ([{"at": 1, "fault": "slow"}], '"seconds" is missing'),
        ([{"at": 1, "fault": "slow", "seconds": float("nan")}], '"seconds" must be'),
        ([{"at": 1, "fault": "slow", "seconds": 10**400}], '"seconds" must be'),
        ([{"at": 1, "fault": "slow", "seconds": "1"}], '"seconds" must be'),
        ([{"at": 1, "fault": "part"}], '"updates" is missing; it is a whole number from 0'),
        ([{"at": 1, "fault": "part", "updates": -1}], '"updates" must be a whole number from 0, not -1'),
        ([{"at": 1, "fault": "part", "updates": 1.0}], '"updates" must be'),
        ([{"at": 3, "fault": "reset"}, {"at": 3, "fault": "refuse"}], "fault 2 of the schedule: request 3"),
    ],
)
def test_bad_schedule_names_its_error(schedule, says):
    with pytest.raises(InvalidSchedule) as caught:
        parse_schedule(schedule)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 10_000, b"\xff\xfe\xfd", "null"])
def test_schedule_must_be_json_list(text):
    with pytest.raises(InvalidSchedule, match="must be a JSON list"):
        read_schedule(text)


def test_schedule_is_text_or_bytes():
    schedule = json.dumps([{"at": 2, "fault": "refuse"}])
    assert read_schedule(schedule) == read_schedule(schedule.encode()) == (Refuse(at=2),)


def test_invalid_schedule_is_restante_error():
    with pytest.raises(RestanteError) as caught:
        parse_schedule(None)
    assert isinstance(caught.value, ValueError)
    assert '"ack_lost"' in caught.value.hint
