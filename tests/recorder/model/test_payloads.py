"""Bytes as SDKs put them on the wire, and the messages that are read from them."""

import base64
import gzip
import json
import tracemalloc
from urllib.parse import parse_qsl, quote

import pytest

from recorder.model.payloads import MAX_BODY, MAX_MESSAGES, Endpoint, form_fields, read_submission

ENGAGE, TRACK, IMPORT = Endpoint.ENGAGE, Endpoint.TRACK, Endpoint.IMPORT
MESSAGE = {"name": "Ådä 🌳", "n": [1, 2.5, None, True]}
TEXT = json.dumps(MESSAGE, ensure_ascii=False)
PLAIN = TEXT.encode()
NDJSON = "application/x-ndjson"


def in_base64(raw):
    return b"data=" + quote(base64.b64encode(raw)).encode()


def as_browser(text):
    """Encode as the browser SDK does: each half of a surrogate pair in three bytes."""
    halves = text.encode("utf-16-be", "surrogatepass")
    units = [halves[at : at + 2].decode("utf-16-be", "surrogatepass") for at in range(0, len(halves), 2)]
    return b"".join(unit.encode("utf-8", "surrogatepass") for unit in units)


def read(endpoint=ENGAGE, query=b"", body=b"", kind="", encoding=""):
    return read_submission(endpoint, query, body, content_type=kind, content_encoding=encoding)


@pytest.mark.parametrize(
    "given",
    [
        {"body": PLAIN},
        {"body": b"[" + PLAIN + b"]"},
        {"body": b" \n" + PLAIN, "kind": "application/x-www-form-urlencoded"},
        {"body": b"data=" + quote(TEXT).encode()},
        {"body": in_base64(PLAIN), "kind": "text/plain"},
        {"body": b"verbose=1&data=" + base64.b64encode(PLAIN)},
        {"query": in_base64(PLAIN)},
        {"query": b"data=W10=", "body": in_base64(PLAIN)},
        {"body": in_base64(as_browser(TEXT))},
        {"body": in_base64(json.dumps(MESSAGE).encode())},
        {"body": PLAIN, "encoding": "identity"},
        {"endpoint": TRACK, "body": gzip.compress(PLAIN), "encoding": "gzip"},
        {"endpoint": TRACK, "body": gzip.compress(in_base64(PLAIN)), "encoding": " GZIP "},
        {"endpoint": IMPORT, "body": gzip.compress(PLAIN), "encoding": "gzip", "kind": NDJSON},
        {"endpoint": IMPORT, "body": PLAIN, "kind": "Application/X-NDJSON; charset=utf-8"},
    ],
)
def test_every_wrapping_is_read(given):
    submission = read(**given)
    assert (submission.messages, submission.unreadable) == ([MESSAGE], None)


def test_base64_takes_blanks_for_plus():
    message = {"plan": "ûûû>>>???"}
    text = base64.b64encode(json.dumps(message, ensure_ascii=False).encode())
    assert b"+" in text
    assert read(body=b"data=" + text).messages == [message]


@pytest.mark.parametrize("body", [b'["\\ud83c"]', in_base64(as_browser('["\ud83c"]'))])
def test_half_a_pair_stays_in_its_message(body):
    assert read(body=body).messages == ["\ud83c"]


def test_lines_of_json_are_messages():
    separator = " "  # a line separator to Python, and none to JSON
    lines = ['{"n": 1}', "", " \t\r", '{"n": "' + separator + '"}\r', '{"n": 3}']
    submission = read(IMPORT, body="\n".join(lines).encode(), kind=NDJSON)
    assert submission.messages == [{"n": 1}, {"n": separator}, {"n": 3}]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"body": as_browser(TEXT)}, "not UTF-8"),
        ({"body": in_base64(b"\xff")}, "base64 of no UTF-8 text"),
        ({"body": b"\xef\xbb\xbf[{}]"}, "begins with a byte order mark"),
        ({"body": b"data=%FF"}, "not UTF-8"),
        ({"body": b"data=!"}, "neither JSON nor base64"),
        ({"body": b"&" * 101}, "more than 100 fields"),
        ({"body": PLAIN, "encoding": "br"}, "Content-Encoding, 'br' is not supported"),
        ({"body": PLAIN, "encoding": "gzip, gzip"}, "'gzip, gzip' is not supported"),
        ({"body": PLAIN, "encoding": "é" * 1_000}, "is not supported"),
        ({"body": gzip.compress(PLAIN), "encoding": "gzip"}, "/engage does not support gzip"),
        ({"endpoint": Endpoint.GROUPS, "body": PLAIN, "encoding": "gzip"}, "/groups does not support gzip"),
        ({"endpoint": TRACK, "body": PLAIN, "encoding": "gzip"}, "malformed gzip"),
        ({"endpoint": TRACK, "encoding": "gzip"}, "gzip that is cut short"),
        (
            {"endpoint": TRACK, "body": gzip.compress(PLAIN)[:-1], "encoding": "gzip"},
            "gzip that is cut short",
        ),
        ({"endpoint": TRACK, "body": gzip.compress(PLAIN) * 2, "encoding": "gzip"}, "bytes behind the end"),
        ({"endpoint": TRACK, "body": PLAIN, "kind": NDJSON}, "/track does not support application/x-ndjson"),
        ({"endpoint": IMPORT, "body": b"\n\n", "kind": NDJSON}, "missing or empty"),
        (
            {"endpoint": IMPORT, "body": b'{"n": 1}\n\n{"n":', "kind": NDJSON},
            "line 3 of data, malformed JSON",
        ),
        ({"endpoint": IMPORT, "body": b"1\n2", "kind": NDJSON}, "must be an array or an object"),
        ({"endpoint": IMPORT, "body": b"{}\n" * (MAX_MESSAGES + 1), "kind": NDJSON}, "more than 2,000"),
        ({"body": b"[" + b"{}," * MAX_MESSAGES + b"{}]"}, "more than 2,000"),
    ],
)
def test_unreadable_payload_says_why(given, says):
    submission = read(**given)
    assert submission.messages == []
    assert says in submission.unreadable
    assert len(submission.unreadable) < 200
    assert not submission.too_large


@pytest.mark.parametrize("more", [0, 1])
def test_gzip_is_unpacked_up_to_limit(more):
    body = gzip.compress(b"{}" + b" " * (MAX_BODY - 2 + more))
    submission = read(TRACK, body=body, encoding="gzip")
    assert (len(submission.messages), submission.too_large) == (1 - more, bool(more))


def test_gzip_bomb_is_not_unpacked():
    bomb = gzip.compress(bytes(10 * MAX_BODY), 1)
    tracemalloc.start()
    try:
        assert read(TRACK, body=bomb, encoding="gzip").too_large
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BODY
    finally:
        tracemalloc.stop()


def test_options_come_from_query_and_form():
    submission = read(query=b"verbose=0&ip=1&data=x", body=b"verbose=1&data=" + quote(TEXT).encode())
    assert submission.options == {"verbose": "1", "ip": "1"}
    assert (submission.asks("verbose"), submission.asks("strict")) == (True, False)


def test_options_survive_unreadable_data():
    assert read(query=b"verbose=1", body=b"\xff").asks("verbose")
    assert read(body=b"verbose=1&data=%21").asks("verbose")


def test_form_keeps_last_of_a_name():
    assert form_fields(b"a=1&a=2&b") == {"a": "2", "b": ""}


def test_form_is_unescaped_as_by_urllib():
    form = "a=%7b%C3%A9+%2B&%26==%&&b=100%25%2&c=%%41%zz%2541&é"
    assert form_fields(form.encode()) == dict(parse_qsl(form, keep_blank_values=True))


def test_form_of_percent_signs_takes_little_memory():
    tracemalloc.start()
    try:
        assert form_fields(b"%" * 1_000_000) == {"%" * 1_000_000: ""}
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
