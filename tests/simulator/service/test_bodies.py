"""Where a request's body ends, and what becomes of one that does not say so or does not come whole."""

from email import message_from_string
from http import HTTPStatus
from io import BytesIO

import pytest

from simulator.service.bodies import CutShort, UnclearBody, announced_length, body_parts


def length(head):
    return announced_length(message_from_string(head))


def body(raw, length=None):
    return b"".join(body_parts(BytesIO(raw), length))


@pytest.mark.parametrize(
    ("head", "announced"),
    [
        ("", 0),
        ("Content-Length: 0", 0),
        ("content-length:  12 ", 12),
        ("Content-Length: 007", 7),
        ("Content-Length: " + "9" * 18, 10**18 - 1),
        ("Transfer-Encoding: chunked", None),
        ("transfer-encoding:  CHUNKED ", None),
    ],
)
def test_length_is_what_the_head_announces(head, announced):
    assert length(head) == announced


@pytest.mark.parametrize("value", ["-1", "+1", "many", "", "1.0", "1_0", "0x10", "1, 2", "²", "٣", "9" * 19])
def test_malformed_length_is_unclear(value):
    with pytest.raises(UnclearBody, match="must be a number of bytes") as caught:
        length(f"Content-Length: {value}")
    assert caught.value.status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("head", "status", "says"),
    [
        ("Content-Length: 5\nContent-Length: 6", 400, "given twice"),
        ("Content-Length: 5\nContent-Length: 5", 400, "given twice"),
        ("Content-Length: 5\nTransfer-Encoding: chunked", 400, "must be missing with"),
        ("Transfer-Encoding: gzip, chunked", 501, "must be chunked"),
        ("Transfer-Encoding: identity", 501, "must be chunked"),
        ("Transfer-Encoding: chunked\xa0", 501, "must be chunked"),
        ("Transfer-Encoding: chunked\nTransfer-Encoding: chunked", 501, "must be chunked"),
    ],
)
def test_ambiguous_framing_is_unclear(head, status, says):
    with pytest.raises(UnclearBody, match=says) as caught:
        length(head)
    assert caught.value.status == status


def test_body_ends_at_its_length():
    stream = BytesIO(b"[1, 2]GET /")
    assert b"".join(body_parts(stream, 6)) == b"[1, 2]"
    assert stream.read() == b"GET /"


@pytest.mark.parametrize(
    ("raw", "whole"),
    [
        (b"0\r\n\r\n", b""),
        (b"6\r\n[1, 2]\r\n0\r\n\r\n", b"[1, 2]"),
        (b"2\r\n[1\r\n00000004\r\n, 2]\r\n0\r\n\r\n", b"[1, 2]"),
        (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
        (b"1;name=value\r\n[\r\n1 \t;x\r\n]\r\n0;last\r\nTrailer: x\r\n\r\n", b"[]"),
    ],
)
def test_chunks_are_joined(raw, whole):
    stream = BytesIO(raw + b"GET /")
    assert b"".join(body_parts(stream, None)) == whole
    assert stream.read() == b"GET /"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"2",
        b"2\r\n",
        b"2\r\n[",
        b"2\r\n[]",
        b"2\r\n[]\r\n",
        b"2\r\n[]\r\n0\r\n",
        b"2\r\n[]\r\n0\r\nTrailer: x\r\n",
    ],
)
def test_missing_end_of_chunks_is_noticed(raw):
    with pytest.raises(CutShort):
        body(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"1\r\n[]\r\n0\r\n\r\n",
        b"zz\r\n[]\r\n0\r\n\r\n",
        b"-2\r\n[]\r\n0\r\n\r\n",
        b"0x2\r\n[]\r\n0\r\n\r\n",
        b"\r\n[]\r\n0\r\n\r\n",
        b"2 2\r\n[]\r\n0\r\n\r\n",
        b"2\n[]\r\n0\r\n\r\n",
        b"2;a\nb\r\n[]\r\n0\r\n\r\n",
        b"2\r\n[]\n0\r\n\r\n",
        b"2\r\n[]\r\n0\r\n\n",
        b"0" * 5_000 + b"\r\n\r\n",
        b"1;" + b"x" * 5_000 + b"\r\n[\r\n0\r\n\r\n",
        b"0\r\n" + b"Trailer: x\r\n" * 1_000 + b"\r\n",
    ],
)
def test_malformed_chunks_are_unclear(raw):
    with pytest.raises(UnclearBody):
        body(raw)


@pytest.mark.parametrize("size", [b"ffffff", b"7fffffffffffffff", b"ffffffffffffffff"])
def test_truncated_huge_chunk_is_noticed(size):
    with pytest.raises(CutShort, match="are missing"):
        body(size + b"\r\n[")


def test_truncated_body_is_noticed():
    with pytest.raises(CutShort, match="90 bytes of the body are missing"):
        body(b"[" * 10, 100)


def test_body_comes_in_small_pieces():
    assert list(body_parts(BytesIO(b"12345"), 5, piece=2)) == [b"12", b"34", b"5"]
    assert next(body_parts(BytesIO(b"5\r\n12"), None, piece=1)) == b"1"
    assert max(map(len, body_parts(BytesIO(bytes(10**6)), 10**6))) == 64 * 1024
