"""Verdicts on every answer of a service, and on none."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorder.model.entries import AttemptOutcome
from recorder.shipping.verdicts import LONGEST_BACKOFF, LONGEST_RETRY_AFTER, Answer, backoff, judge

BACKING_OFF = [AttemptOutcome.OFFLINE, AttemptOutcome.WAIT, AttemptOutcome.UNKNOWN]

HTTPS = "https://api.mixpanel.com/engage?verbose=1&ip=0"
HTTP = "http://api.mixpanel.com/engage?verbose=1&ip=0"
PAGE = b"<html><body>Welcome to Harbour Wi-Fi</body></html>"
IMPORTED = b'{"code":200,"num_records_imported":1,"status":"OK"}'
IMPORT = "https://api.mixpanel.com/import?verbose=1&ip=0"
FAILED = b'{"code":400,"num_records_imported":0,"status":"Bad Request","failed_records":[{"index":0}]}'
IN_PART = FAILED.replace(b":0", b":1", 1)
HTML = {"content-type": "text/html; charset=utf-8"}


def answer(status, body=b"", *, url=HTTPS, **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(left=True, url=url, status=status, body=body, headers=names)


def said(status, error=None):
    return json.dumps({"status": status, "error": error}).encode()


TABLE = [
    # nothing left, or no whole answer
    ("nothing-left", Answer(left=False, url=HTTPS, error="connection refused"), AttemptOutcome.OFFLINE),
    (
        "left-and-reset",
        Answer(left=True, url=HTTPS, error="the connection was reset"),
        AttemptOutcome.UNKNOWN,
    ),
    ("left-and-silence", Answer(left=True, url=HTTPS), AttemptOutcome.UNKNOWN),
    # a captive portal
    (
        "page-over-http",
        Answer(left=True, url=HTTP, status=200, body=PAGE, headers=HTML),
        AttemptOutcome.OFFLINE,
    ),
    (
        "page-over-https",
        Answer(left=True, url=HTTPS, status=200, body=PAGE, headers=HTML),
        AttemptOutcome.UNKNOWN,
    ),
    ("redirect-elsewhere", answer(302, location="http://login.example/"), AttemptOutcome.OFFLINE),
    ("redirect-other-scheme-same-host", answer(301, url=HTTP, location=HTTPS), AttemptOutcome.PAUSED),
    (
        "redirect-other-port",
        answer(308, location="https://api.mixpanel.com:444/engage"),
        AttemptOutcome.PAUSED,
    ),
    (
        "redirect-other-spelling",
        answer(308, location="https://API.mixpanel.com/engage"),
        AttemptOutcome.PAUSED,
    ),
    ("redirect-relative", answer(307, location="/v2/engage"), AttemptOutcome.PAUSED),
    ("redirect-to-nowhere", answer(303), AttemptOutcome.UNKNOWN),
    ("redirect-to-nonsense", answer(302, location="http://[::1/"), AttemptOutcome.UNKNOWN),
    ("not-modified", answer(304), AttemptOutcome.UNKNOWN),
    ("network-login", answer(511, PAGE), AttemptOutcome.OFFLINE),
    # the service accepted
    ("plain-one", answer(200, b"1"), AttemptOutcome.SHIPPED),
    (
        "plain-one-called-html",
        answer(200, b"1\n", url=HTTP, content_type="text/html"),
        AttemptOutcome.SHIPPED,
    ),
    ("status-one", answer(200, said(1)), AttemptOutcome.SHIPPED),
    ("imported", answer(200, IMPORTED), AttemptOutcome.SHIPPED),
    ("status-one-with-words", answer(200, said(1, "one was odd")), AttemptOutcome.SHIPPED),
    # the service refused
    ("plain-zero", answer(200, b"0"), AttemptOutcome.REFUSED),
    ("status-zero", answer(200, said(0, "$distinct_id, missing or empty")), AttemptOutcome.REFUSED),
    ("zero-token", answer(200, said(0, "$token, missing or empty")), AttemptOutcome.PAUSED),
    ("zero-temporary", answer(200, said(0, "a temporary failure occurred")), AttemptOutcome.WAIT),
    ("400", answer(400, said(0, "$add: value is not numeric")), AttemptOutcome.REFUSED),
    ("400-token", answer(400, said(0, "invalid token")), AttemptOutcome.PAUSED),
    ("400-temporary", answer(400, said(0, "a temporary failure occurred")), AttemptOutcome.REFUSED),
    ("400-plain-zero", answer(400, b"0"), AttemptOutcome.REFUSED),
    ("422", answer(422, said(0, "too deep")), AttemptOutcome.REFUSED),
    ("422-token", answer(422, said(0, "Token unknown")), AttemptOutcome.PAUSED),
    ("400-called-html", answer(400, said(0, "odd"), content_type="text/html"), AttemptOutcome.REFUSED),
    ("token-in-a-name", answer(400, said(0, "$set.token_count is odd")), AttemptOutcome.REFUSED),
    ("413", answer(413, b"too large"), AttemptOutcome.REFUSED),
    ("413-service", answer(413, said(0, "too large")), AttemptOutcome.REFUSED),
    ("400-import", answer(400, FAILED, url=IMPORT), AttemptOutcome.REFUSED),
    # refusals in other words than the service's
    ("400-page", answer(400, PAGE), AttemptOutcome.WAIT),
    ("400-page-called-json", answer(400, PAGE, content_type="application/json"), AttemptOutcome.WAIT),
    ("400-empty", answer(400), AttemptOutcome.WAIT),
    ("400-text", answer(400, b"Bad Request"), AttemptOutcome.WAIT),
    ("400-list", answer(400, b'["status"]'), AttemptOutcome.WAIT),
    ("400-number", answer(400, b"400"), AttemptOutcome.WAIT),
    ("400-message", answer(400, b'{"message": "Bad Request"}'), AttemptOutcome.WAIT),
    ("400-framework", answer(400, b'{"status":400,"error":"Bad Request"}'), AttemptOutcome.WAIT),
    ("400-gateway", answer(400, b'{"error":"Bad Request","statusCode":400}'), AttemptOutcome.WAIT),
    ("400-token-of-a-gateway", answer(400, b'{"message": "token expired"}'), AttemptOutcome.WAIT),
    ("400-import-without-code", answer(400, said(0, "odd"), url=IMPORT), AttemptOutcome.WAIT),
    ("422-firewall", answer(422, b"Request blocked. Incident 4711"), AttemptOutcome.WAIT),
    # an answer after a part was imported
    ("400-imported-in-part", answer(400, IN_PART, url=IMPORT), AttemptOutcome.UNKNOWN),
    # what only a gateway says, once it has passed the request on
    ("409", answer(409), AttemptOutcome.UNKNOWN),
    ("460", answer(460), AttemptOutcome.UNKNOWN),
    ("499", answer(499), AttemptOutcome.UNKNOWN),
    # requests to wait
    ("421", answer(421), AttemptOutcome.WAIT),
    ("425", answer(425), AttemptOutcome.WAIT),
    ("408", answer(408), AttemptOutcome.WAIT),
    ("429", answer(429, b"slow down"), AttemptOutcome.WAIT),
    ("503-retry-after", answer(503, retry_after="5"), AttemptOutcome.WAIT),
    ("503-service", answer(503, said(0, "overloaded")), AttemptOutcome.WAIT),
    ("503-page", answer(503, PAGE), AttemptOutcome.UNKNOWN),
    ("503-other-json", answer(503, b'{"message": "upstream"}'), AttemptOutcome.UNKNOWN),
    # configuration
    ("401", answer(401), AttemptOutcome.PAUSED),
    ("403", answer(403, said(0, "forbidden")), AttemptOutcome.PAUSED),
    ("404", answer(404, PAGE), AttemptOutcome.PAUSED),
    ("407", answer(407), AttemptOutcome.PAUSED),
    # anything else
    ("cut", answer(200, b'{"stat'), AttemptOutcome.UNKNOWN),
    ("empty", answer(200, b""), AttemptOutcome.UNKNOWN),
    ("foreign", answer(200, b'{"ok": true}'), AttemptOutcome.UNKNOWN),
    ("status-true-is-not-one", answer(200, b'{"status": true}'), AttemptOutcome.UNKNOWN),
    ("status-text-is-not-one", answer(200, b'{"status": "1"}'), AttemptOutcome.UNKNOWN),
    (
        "imported-without-a-code",
        answer(200, b'{"num_records_imported":1,"status":"OK"}'),
        AttemptOutcome.UNKNOWN,
    ),
    ("imported-partly", answer(400, b'{"code":400,"status":"Bad Request"}'), AttemptOutcome.REFUSED),
    ("imported-with-another-status", answer(502, IMPORTED), AttemptOutcome.UNKNOWN),
    ("plain-true", answer(200, b"true"), AttemptOutcome.UNKNOWN),
    ("plain-float", answer(200, b"1.0"), AttemptOutcome.UNKNOWN),
    ("201", answer(201, said(1)), AttemptOutcome.UNKNOWN),
    ("204", answer(204), AttemptOutcome.UNKNOWN),
    ("500", answer(500, said(0, "boom")), AttemptOutcome.UNKNOWN),
    ("502", answer(502, PAGE), AttemptOutcome.UNKNOWN),
    ("504", answer(504), AttemptOutcome.UNKNOWN),
    ("102", answer(102), AttemptOutcome.UNKNOWN),
    ("nested", answer(200, b"[" * 100_000), AttemptOutcome.UNKNOWN),
]


@pytest.mark.parametrize(("given", "outcome"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_verdict_table(given, outcome):
    assert judge(given).outcome is outcome


def refused(*places, imported=0, **more):
    records = [{"index": place, "insert_id": "i", "field": "event", "message": "bad"} for place in places]
    said = {"code": 400, "num_records_imported": imported, "status": "Bad Request", "failed_records": records}
    kept = {name: value for name, value in {**said, **more}.items() if value is not None}
    return answer(400, json.dumps(kept).encode(), url=IMPORT)


@pytest.mark.parametrize(
    ("given", "outcome", "failed"),
    [
        (refused(1, imported=2), AttemptOutcome.SHIPPED, {1}),
        (refused(2, 0, imported=1, error="some failed"), AttemptOutcome.SHIPPED, {0, 2}),
        (refused(0, 1, 2), AttemptOutcome.REFUSED, {0, 1, 2}),
        (refused(0, 1, 2, num_records_imported=None), AttemptOutcome.REFUSED, {0, 1, 2}),
        # What does not add up says nothing about single events.
        (refused(1, imported=1), AttemptOutcome.UNKNOWN, set()),
        (refused(1, imported=3), AttemptOutcome.UNKNOWN, set()),
        (refused(1, num_records_imported=None), AttemptOutcome.UNKNOWN, set()),
        (refused(1, 1, imported=1), AttemptOutcome.UNKNOWN, set()),
        (refused(3, imported=2), AttemptOutcome.UNKNOWN, set()),
        (refused(-1, imported=2), AttemptOutcome.UNKNOWN, set()),
        (refused(True, imported=2), AttemptOutcome.UNKNOWN, set()),
        (refused("1", imported=2), AttemptOutcome.UNKNOWN, set()),
        (refused(1, imported=2, failed_records=[{"index": 1}]), AttemptOutcome.UNKNOWN, set()),
        (refused(imported=3), AttemptOutcome.UNKNOWN, set()),
        (refused(1), AttemptOutcome.REFUSED, set()),  # nothing was imported: it is halved
        (refused(1, imported=2, message="a gateway's"), AttemptOutcome.WAIT, set()),
        (answer(400, refused(1, imported=2).body), AttemptOutcome.UNKNOWN, set()),  # not of /import
        (answer(200, refused(1, imported=2).body, url=IMPORT), AttemptOutcome.UNKNOWN, set()),
    ],
)
def test_failed_records_must_add_up(given, outcome, failed):
    """Of three events: those that the service names are refused, and the others shipped, if it all fits."""
    verdict = judge(given, updates=3)
    assert (verdict.outcome, set(verdict.failed)) == (outcome, failed)
    assert set(verdict.failed.values()) <= {"event: bad"}


def test_failed_records_are_told_in_one():
    assert judge(refused(0, 1, 2), updates=3).words == "event: bad"
    records = [{"index": place, "field": "a\x1b" * place, "message": str(place)} for place in range(2)]
    verdict = judge(refused(failed_records=records), updates=2)
    assert verdict.failed == {0: "0", 1: "a : 1"}
    assert verdict.words == "2 updates were refused; the first: 0"
    assert judge(refused(1, imported=2)).failed == {}  # of how many is not known


def test_import_asks_for_credentials():
    """Whoever may not import is told what to give, and what the service says."""
    for status in (401, 403):
        verdict = judge(answer(status, b'{"code":401,"error":"nobody","status":"Unauthorized"}', url=IMPORT))
        assert verdict.outcome is AttemptOutcome.PAUSED
        assert "import_credentials" in verdict.words
        assert verdict.words.endswith("nobody")
    assert "import_credentials" not in judge(answer(401)).words


def test_foreign_413_refuses_no_entry():
    """A proxy's limit halves a request; it says nothing about an entry that travels alone."""
    assert judge(answer(413, PAGE)).outcome is AttemptOutcome.REFUSED
    assert judge(answer(413, PAGE), updates=1).outcome is AttemptOutcome.WAIT
    assert judge(answer(413, said(0, "too large")), updates=1).outcome is AttemptOutcome.REFUSED


@pytest.mark.parametrize("status", [400, 422])
def test_proxy_cannot_ask_for_patience(status):
    verdict = judge(answer(status, PAGE, retry_after="86400"))
    assert (verdict.outcome, verdict.retry_after) == (AttemptOutcome.WAIT, None)


def test_foreign_words_are_told():
    words = judge(answer(400, b'{"message": "blocked by rule 7"}')).words
    assert words.startswith("HTTP 400")
    assert "blocked by rule 7" in words
    assert judge(answer(400, b"<html><title>Plain HTTP to an HTTPS port</title>")).words.endswith(
        "HTTPS port"
    )


def test_words_of_the_service_are_kept():
    assert judge(answer(400, said(0, "$add: value is not numeric"))).words == "$add: value is not numeric"
    assert judge(answer(200, said(1, "one was odd"))).words == "one was odd"
    assert "login.example" in judge(answer(302, location="http://login.example/")).words


def test_words_are_one_short_printable_line():
    words = judge(answer(400, said(0, "\x1b[31mred\nline\u202e" + "x" * 5_000))).words
    assert words.isprintable()
    assert len(words) <= 500


def test_failure_always_has_words():
    for name, reply, outcome in TABLE:
        if outcome is not AttemptOutcome.SHIPPED:
            assert judge(reply).words, name


bodies = (
    st.binary(max_size=40)
    | st.sampled_from(
        [
            b"1",
            b"0",
            b"",
            PAGE,
            b'{"stat',
            said(1),
            IMPORTED,
            said(0),
            said(0, "token"),
            said(0, "a temporary failure occurred"),
        ]
    )
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["status", "error", "x"]), inner),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode())
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "date", "location", "content-type"]),
    st.text(max_size=30)
    | st.sampled_from(["5", "-1", "1e9", "Wed, 21 Oct 2026 07:28:00 GMT", "text/html", "http://x/"]),
)


@given(
    st.builds(
        Answer,
        left=st.booleans(),
        url=st.sampled_from([HTTP, HTTPS]),
        status=st.none() | st.integers(100, 599),
        headers=headers,
        body=bodies,
        error=st.text(max_size=20),
    )
)
@example(Answer(left=True, url=HTTPS, status=429, headers={"retry-after": "9" * 5_000}))
def test_every_answer_has_a_verdict(given):
    verdict = judge(given)
    if not given.left:
        assert verdict.outcome is AttemptOutcome.OFFLINE
    elif given.status is None:
        assert verdict.outcome is AttemptOutcome.UNKNOWN
    if verdict.outcome is AttemptOutcome.SHIPPED:
        # Only the service's own words count as accepted.
        value = json.loads(given.body)
        assert given.left
        assert given.status == 200
        assert (value if type(value) is int else value["status"]) in {1, "OK"}
    if verdict.retry_after is not None:
        assert 0 <= verdict.retry_after <= LONGEST_RETRY_AFTER
    assert verdict.status == given.status


def test_no_status_alone_is_acceptance():
    for status in range(100, 600):
        assert judge(answer(status)).outcome is not AttemptOutcome.SHIPPED, status


def test_retry_after_in_seconds():
    assert judge(answer(429, retry_after="120")).retry_after == 120


def test_retry_after_date_against_answers_clock():
    when, now = "Wed, 21 Oct 2015 07:30:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT"
    assert judge(answer(429, retry_after=when, date=now)).retry_after == 120
    assert judge(answer(429, retry_after=now, date=when)).retry_after == 0
    assert judge(answer(429, retry_after=when)).retry_after is None


def test_retry_after_ends_at_a_day():
    assert judge(answer(503, retry_after="999999999999")).retry_after == 86_400


@pytest.mark.parametrize("status", [302, 511])
def test_captive_portal_cannot_ask_for_patience(status):
    """A wait of a day asked for by the login page of a café would outlast the visit."""
    verdict = judge(answer(status, location="http://login.example/", retry_after="86400"))
    assert (verdict.outcome, verdict.retry_after) == (AttemptOutcome.OFFLINE, None)


def test_backoff_doubles_to_five_minutes():
    waits = [backoff(AttemptOutcome.OFFLINE, failures, 1.0) for failures in (1, 2, 3, 9, 10, 10_000)]
    assert waits == [1, 2, 4, 256, 300, 300]


@given(
    st.sampled_from(BACKING_OFF),
    st.integers(1, 10_000),
    st.floats(0, 1),
)
def test_jitter_comes_after_the_cap(outcome, failures, chance):
    wait = backoff(outcome, failures, chance)
    assert wait == backoff(outcome, failures, 1.0) * chance <= LONGEST_BACKOFF * chance


@pytest.mark.parametrize("outcome", [AttemptOutcome.PAUSED, AttemptOutcome.REFUSED])
def test_pause_gets_the_longest_backoff(outcome):
    assert backoff(outcome, 1, 0.0) == LONGEST_BACKOFF
