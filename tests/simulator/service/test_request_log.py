"""Lines about each request in the log, and the values that never stand there."""

from random import Random

import pytest

from simulator.service.faults import FAULTS
from simulator.service.server import Service
from tests.simulator.service.hostility import LOG_LINE, attack, carry_out
from tests.simulator.service.senders import MIXED, TIMEOUT, UNREAD, encoded, fault, posted, raw, seen, update


@pytest.fixture
def lines():
    return []


@pytest.fixture
def service(lines):
    with Service(log=lines.append) as service:
        yield service


def asked(target="/engage", *headers, method="POST"):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode("latin-1")


OLD = {"event": "opened", "properties": {"token": "T", "time": 1_700_000_000}}
DROPPED = "older than five days: /track does not ingest it, /import would"


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (posted(update()), "POST /engage 200 · 1 accepted"),
        (posted(*[update()] * 2_000), "POST /engage 200 · 2,000 accepted"),
        (posted({}), "POST /engage 200 · 0 accepted, 1 refused: $token, missing or empty"),
        (posted(OLD, path="/track"), f"POST /track 200 · 0 accepted, 1 refused: {DROPPED}"),
        (
            posted({"event": ""}, path="/import?strict=1", headers="Authorization: Basic T:\r\n"),
            "POST /import 400 · 0 accepted, 1 refused: 'event' must not be missing or blank",
        ),
        (asked("/engage/"), "POST /engage/ 200 · 0 accepted, 1 refused: data, missing or empty"),
        (asked("/simulator/profiles?token=hidden", method="GET"), "GET /simulator/profiles 200"),
        (asked(method="OPTIONS"), "OPTIONS /engage 204"),
        (asked("/nowhere"), "POST /nowhere 404 · no route /nowhere; GET / lists them"),
        (asked("/simulator/reset", method="GET"), "GET /simulator/reset 405 · /simulator/reset takes POST, not GET"),
        (
            asked("/", "Origin: http://evil.test", method="GET"),
            "GET / 403 · / is for programs, not for web pages: Origin is 'http://evil.test', a web page's",
        ),
        (asked("/engage", "Content-Length: many"), "POST /engage 400 · Content-Length, must be a number of bytes"),
        (asked("/track", "Content-Length: 999999999"), "POST /track 413 · request exceeds max limit of 10485760 bytes"),
        (asked("/engage", "Content-Length: 7") + b"[]", "POST /engage closed · 5 bytes of the body are missing"),
        (asked("http://["), "POST / 400 · the request's target is no URL"),
    ],
)  # fmt: skip
def test_line_tells_request_and_outcome(service, lines, request_, line):
    raw(service, request_)
    assert lines == [line]


@pytest.mark.parametrize(
    ("mixed", "line"),
    [
        ("reject-all", "POST /engage 200 · 0 accepted, 4 refused: $distinct_id, missing or empty"),
        ("apply-valid", "POST /engage 200 · 2 accepted, 2 refused: $distinct_id, missing or empty"),
    ],
)
def test_line_counts_mixed_batch(lines, mixed, line):
    with Service(mixed=mixed, log=lines.append) as service:
        raw(service, posted(*MIXED))
    assert lines == [line]


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (asked(f"/engage?data={encoded(update())}&token=hidden"), "POST /engage 200 · 1 accepted"),
        (asked("http://ada:hidden@localhost/engage?data=hidden#hidden"), "POST /engage 200 · 0 accepted, 1 refused: "),
        (asked("http://ada:hidden@[/engage"), "POST /engage 400 · the request's target is no URL"),
        (asked("/engage", "Authorization Basic hidden"), "POST /engage 400 · a header line is malformed"),
        (asked("/engage?token=hidden more"), "malformed request 400 · Bad request syntax"),
        (b"POST /engage?token=hidden\r\n\r\n", "malformed request 400 · Bad HTTP/0.9 request type"),
        (b"GET / hidden\r\n\r\n", "malformed request 400 · Bad request version"),
        (b"GET /" + b"hidden" * 10_922, "malformed request 414 · "),  # to the byte, or the rest would be a reset
        (b"\x16\x03\x01\x02hidden\r\n\r\n", "malformed request 400 · a TLS handshake, and this port takes plain HTTP"),
    ],
)  # fmt: skip
def test_line_keeps_user_data_back(service, lines, request_, line):
    raw(service, request_)
    (said,) = lines
    assert said.startswith(line)
    assert "hidden" not in said


def test_line_has_no_control_character(service, lines):
    hostile = "\x1b]0;x\x07\x9b31m\x7f\xad"
    raw(service, asked(f"/{hostile}", method="P\x9bT"))
    raw(service, posted(update(), path="/\u202e", encoding="utf-8"))
    raw(service, posted(update("ada", "$add", {"\x1b[31m\u202e": "x"})))
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_line_is_short(service, lines):
    raw(service, asked("/" + "a" * 5_000, method="B" * 500))
    assert len(lines[0]) < 400


@pytest.mark.parametrize(
    ("name", "applied"),
    [(name, applied) for name in FAULTS for applied in ([False] if name in UNREAD else [False, True])],
)
def test_line_names_fault(service, lines, name, applied):
    service.set_faults([fault(name, applied=applied)])
    seen(service, posted(update(), headers="Connection: close\r\n"))
    assert service.settle(TIMEOUT)
    outcome = {
        "refuse": "reset",
        "partial_read": "reset",
        "reset": "reset",
        "ack_lost": "closed",
        "late": "closed",
        "part": "closed",
    }
    outcome |= {"status": "503", "redirect": "302"}
    line = f"POST /engage {outcome.get(name, '200')} · fault {name}"
    if name == "late" and applied:
        assert lines == [line, "POST /engage arrived · fault late · 1 accepted"]
    else:
        assert lines == [line + (" · 1 accepted" if applied else ", not applied")]


def test_next_line_forgets_fault(service, lines):
    service.set_faults([fault("slow")])
    raw(service, posted(update()) + b"nonsense\r\n\r\n")
    assert lines == [
        "POST /engage 200 · fault slow · 1 accepted",
        "malformed request 400 · Bad request syntax",
    ]


def test_failing_log_harms_no_sender():
    def fail(line):
        raise RuntimeError(line)

    with Service(log=fail) as service:
        assert raw(service, posted(update())).endswith(b"\r\n\r\n1")


def test_hostile_senders_leave_clean_lines(service, lines):
    random = Random(7)
    for _ in range(150):
        one = attack(random)._replace(manner="at once")
        if len(one.data) < 200_000:
            carry_out(random, int(service.url.rsplit(":", 1)[1]), one, [])
    assert len(lines) > 50
    assert [line for line in lines if not LOG_LINE.fullmatch(line) or not line.isprintable()] == []
