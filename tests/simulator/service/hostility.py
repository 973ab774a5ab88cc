"""Hostile and broken senders: their requests, the ways to send them, and the answers allowed.

All of it comes from a `random.Random`; the same seed sends the same bytes.
"""

import base64
import gzip
import json
import re
import socket
import struct
import time
from contextlib import suppress
from typing import NamedTuple

PATIENCE = 20.0
"""Seconds until a missing answer counts as a hang."""

UPDATE = {"$token": "H", "$distinct_id": "ada", "$set": {"plan": "pro"}}
EVENT = {"event": "opened", "properties": {"token": "H"}}


# --- what they send


def _json(value):
    return json.dumps(value).encode()


def _in_base64(raw):
    return b"data=" + base64.b64encode(raw)


def _filled(unit):
    """Nothing but one thing, over and over."""
    return lambda _random, size: (unit * (size // len(unit) + 1))[:size]


def _listed(unit):
    return lambda _random, size: b"[" + unit * (size // len(unit)) + b"0]"


def _deep(opening, core, closing):
    return lambda random, _size: opening * (n := random.choice([99, 103, 900, 10_000])) + core + closing * n


def _held_deep(random, _size):
    """Deep inside of what would be a good update."""
    depth = random.choice([99, 101, 500, 10_000])
    return _json(UPDATE).replace(b'"pro"', b"[" * depth + b"]" * depth)


def _cut(random, _size):
    whole = _json([UPDATE, EVENT] * 5)
    return whole[: random.randrange(len(whole))]


def _flipped(random, _size):
    whole = bytearray(random.choice([_json([UPDATE]), _in_base64(_json([UPDATE])), b"data=%5B%7B%7D%5D"]))
    for _ in range(random.randint(1, 5)):
        whole[random.randrange(len(whole))] = random.randrange(256)
    return bytes(whole)


BODIES = {
    "nothing": lambda _random, _size: b"",
    "an update": lambda _random, _size: _json([UPDATE]),
    "an event": lambda _random, _size: _json(EVENT),
    "a large update": lambda _random, size: _json(UPDATE).replace(b"pro", b"p" * size),
    "2,001 updates": lambda _random, _size: _json([{}] * 2_001),
    "random bytes": lambda random, _size: random.randbytes(random.randrange(2_000)),
    "flipped bytes": _flipped,
    "cut off": _cut,
    "NULs": _filled(b"\0"),
    "UTF-16": lambda _random, _size: json.dumps([UPDATE]).encode("utf-16"),
    "Latin-1": lambda _random, _size: '[{"$token": "é"}]'.encode("latin-1"),
    "surrogates": lambda _random, _size: b'[{"$token": "T", "$distinct_id": "\\ud800", "$set": {}}]',
    "gzip": lambda _random, _size: gzip.compress(_json([UPDATE]), mtime=0),
    "gzip bomb": lambda _random, size: gzip.compress(bytes(size), mtime=0),
    "bad base64": lambda random, _size: b"data=" + random.randbytes(300).replace(b"&", b"!"),
    "base64 of rubbish": lambda random, _size: _in_base64(random.randbytes(300)),
    "base64 of base64": lambda _random, _size: _in_base64(_in_base64(_json([UPDATE]))),
    "nested lists": _deep(b"[", b"", b"]"),
    "nested objects": _deep(b'{"a":', b"1", b"}"),
    "nested lists unclosed": _deep(b"[", b"", b""),
    "nested in a property": _held_deep,
    "nested in a form": lambda random, size: b"data=" + _held_deep(random, size),
    "nested in base64": lambda random, size: _in_base64(_held_deep(random, size)),
    "nested within a string": lambda random, size: _json({**UPDATE, "$set": {"a": _held_deep(random, size).decode()}}),
    "separators": _filled(b"&"),
    "form fields": _filled(b"a&"),
    "form fields with values": _filled(b"a=1&"),
    "brackets": _filled(b"["),
    "escapes": _filled(b"%5B"),
    "half escapes": _filled(b"data=%"),
    "spaces": _filled(b" "),
    "numbers": _listed(b"1,"),
    "lists": _listed(b"[],"),
    "objects": _listed(b"{},"),
    "strings": _listed(b'"",'),
    "names": lambda _random, size: b"[{" + b'"":0,' * (size // 5) + b'"":0}]',
    "digits": _filled(b"9"),
    "digits in a list": lambda _random, size: b"[" + b"9" * size + b"]",
    "a fraction": lambda _random, size: b"[1." + b"3" * size + b"]",
    "an exponent": lambda _random, size: b"[1e" + b"9" * size + b"]",
    "quotes": _filled(b'["\\"'),
    "multipart": lambda _random, size: b"--x\r\nContent-Disposition: form-data; name=data\r\n\r\n" + b"a" * size,
}  # fmt: skip

_SIZES = [10, 1_000, 10_000, 1_000_000, 10_000_000]
_WEIGHTS = [30, 30, 30, 8, 2]
_METHODS = (
    ["POST"] * 12
    + ["GET"] * 4
    + ["OPTIONS", "HEAD", "PUT", "DELETE", "PATCH", "post", "BREW", "\x7f", "A" * 500]
)
_PATHS = ["/engage"] * 12 + [
    "/groups", "/track", "/track", "/import", "/import", "/import", "/engage/", "//engage",
    "/api/query/engage", "/api/2.0/engage", "/simulator/profiles",
    "/simulator/groups", "/simulator/messages", "/simulator/nothing", "/", "*", "engage", "http://[", "http://x/engage",
    "/%", "/%zz", "/engage%00", "/%ff%fe", "/engage;x", "/\xff", "/" + "a" * 5_000, "/" + "a" * 70_000, "/" + "/" * 500,
    "/../engage", "/engage#x", "?", "://", "/engage\t",
]  # fmt: skip
_QUERIES = [""] * 8 + [
    "?verbose=1", "?verbose=1", "?verbose=", "?verbose=1&verbose=0", "?data=%FF", "?data=[", "?data=" + "[" * 10_000,
    "?strict=1", "?verbose=1&strict=1&project_id=1", "?callback=f&verbose=1", "?callback=%0Af", "?img=1",
    "?page=1&session_id=1-LOCAL", "?distinct_ids=" + "[" * 9_000, "?output_properties=[]&distinct_id=ada",
    "?data=%5B%7B%7D%5D", "?data=W3t9XQ==", "?%ff=%00", "?" + "&" * 30_000, "?page=" + "9" * 5_000, "?page=-1",
    "?token=%FF", "?verdict=x", "?verdict=%00", "?ip=0&verbose=1&data=" + "%7B" * 9_000, "?\xe9=1", "?" + "a" * 66_000,
]  # fmt: skip
_VERSIONS = ["HTTP/1.1"] * 12 + ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.²", "HTTP/9", "HTTPS", ""]
_HEADERS = [""] * 10 + [
    "Content-Type: application/json\r\n", "Content-Type: application/x-www-form-urlencoded\r\n",
    "Content-Type: multipart/form-data; boundary=x\r\n", "Content-Type: \xff;;;=\r\n", "Content-Encoding: gzip\r\n",
    "Content-Encoding: gzip\r\nAuthorization: Basic T:\r\n", "Content-Type: application/x-ndjson\r\n",
    "Content-Type: application/x-ndjson\r\nAuthorization: Basic T:\r\n", "Authorization: Basic \xff\r\n",
    "Authorization: Basic T:\r\n", "Authorization: \r\n", "Authorization: Bearer x\r\n",
    "Expect: 100-continue\r\n", "Connection: close\r\n", "Connection: upgrade\r\n", "Origin: http://x\r\n\tfolded\r\n",
    "Origin: a\0b\r\n", "Origin: a\rb\r\n", "Access-Control-Request-Headers: \x85\xff\r\n", "no colon\r\n",
    ": no name\r\n",
    "X: y\r\n" * 99, "X: y\r\n" * 1_000, "X: " + "y" * 60_000 + "\r\n", "X: " + "y" * 70_000 + "\r\n", "\0\r\n",
    "Host: a\r\nHost: b\r\n", "X_Y: z\r\n", " : \r\n",
]  # fmt: skip


def _size(random):
    return random.choices(_SIZES, _WEIGHTS)[0]


def _body(random, size=None):
    kind = random.choice(list(BODIES))
    return kind, BODIES[kind](random, _size(random) if size is None else size)


def _in_chunks(body, at_once):
    parts = [body[start : start + at_once] for start in range(0, len(body), at_once)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


_WILD_LENGTHS = ["-1", "+5", "many", "", " ", "1_0", "0x10", "\u00b2", "1, 2", "9" * 18, "9" * 5_000]
_WILD_CHUNKS = [
    b"ffffff\r\n",
    b"7fffffffffffffff\r\n",
    b"-1\r\n",
    b"5\r\n",
    b"1;x=y\r\n",
    b"0x5\r\n",
    b"0" * 99_999,
    b"0\r\n",
]
_CHUNKED = "Transfer-Encoding: chunked\r\n"
_FRAMES = {
    "length": lambda _random, body: (f"Content-Length: {len(body)}\r\n", body),
    "no length": lambda _random, body: ("", body),
    "too short": lambda _random, body: (f"Content-Length: {len(body) // 2}\r\n", body),
    "too long": lambda _random, body: (f"Content-Length: {len(body) + 10}\r\n", body),
    "wild length": lambda random, body: (f"Content-Length: {random.choice(_WILD_LENGTHS)}\r\n", body[:1_000]),
    "two lengths": lambda _random, body: (f"Content-Length: 2\r\nContent-Length: {len(body)}\r\n", body),
    "chunks": lambda random, body: (_CHUNKED, _in_chunks(body[:500_000], random.choice([7, 1_000, 70_000]))),
    "length and chunks": lambda _random, body: (f"Content-Length: {len(body)}\r\n{_CHUNKED}", _in_chunks(body, 70_000)),
    "chunks of rubbish": lambda _random, body: (_CHUNKED, body),
    "wild chunks": lambda random, body: (_CHUNKED, random.choice(_WILD_CHUNKS) + body[:1_000]),
    "another coding": lambda _random, body: ("Transfer-Encoding: gzip, chunked\r\n", body),
}  # fmt: skip


def _request(random):
    kind, body = _body(random)
    frame = random.choice(["length"] * 15 + list(_FRAMES))
    framing, framed = _FRAMES[frame](random, body)
    method, version = random.choice(_METHODS), random.choice(_VERSIONS)
    target = random.choice(_PATHS) + random.choice(_QUERIES)
    head = f"{method} {target} {version}\r\n{random.choice(_HEADERS)}{framing}\r\n"
    return f"{method[:9]} {target[:30]!r} {kind} ({len(body)}), {frame}", head.encode("latin-1") + framed


class Attack(NamedTuple):
    """One connection.

    Attributes:
        about: Its name in failures.
        data: What is sent.
        manner: How; see `carry_out`.
        bodiless: Whether an answer may promise a body and have none, as to HEAD.
    """

    about: str
    data: bytes
    manner: str
    bodiless: bool


_MANNERS = ["at once"] * 12 + ["in pieces", "leaves", "resets", "stays", "unread"]


def attack(random):
    """One of endlessly many."""
    about, data = _request(random)
    manner = random.choice(_MANNERS)
    if random.random() < 0.1:  # one after the other, without waiting
        more = [_request(random) for _ in range(random.randint(1, 5))]
        about = "; ".join([about, *(each for each, _ in more)])
        data += b"".join(each for _, each in more)
    elif random.random() < 0.1:
        about, data = "bytes that are no request", random.randbytes(random.randrange(500))
    elif random.random() < 0.1:
        data = data[: random.randrange(len(data) + 1)]
        about += ", cut"
    return Attack(about, data, manner, b"HEAD " in data)


def every_body(random, size):
    """Each kind of body once, well wrapped."""
    for kind, make in BODIES.items():
        body = make(random, size)
        head = f"POST /engage?verbose=1 HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        yield Attack(f"{kind} ({len(body)})", head.encode() + body, "at once", bodiless=False)


def carry_out(random, port, attack, held):
    """Send it, and read the answers.

    Args:
        random: Where it is cut and how long it pauses.
        port: Of the service.
        attack: What to send, and how: at once; in pieces; so that the sender leaves or resets the connection in the
            middle of it; so that it stays, and says nothing more; or whole, and the answer stays unread.
        held: Collects connections that stay open.

    Returns:
        The bytes of the answers, and whether all of them must be whole: the service closed in order.

    Raises:
        TimeoutError: The service neither answers nor closes.
    """
    wire = socket.create_connection(("127.0.0.1", port), PATIENCE)
    if attack.manner == "stays":
        held.append(wire)
        with suppress(ConnectionError):
            wire.sendall(attack.data[: random.randrange(len(attack.data) + 1)][:200_000])
        return b"", False
    with wire:
        try:
            if attack.manner in {"leaves", "resets", "unread"}:
                most = len(attack.data) + (attack.manner == "unread")
                wire.sendall(
                    attack.data[: random.randrange(most or 1) if attack.manner != "unread" else most]
                )
                if attack.manner == "resets":
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return b"", False
            _send(random, wire, attack)
        except ConnectionError:
            pass  # refused in the middle: what was answered may still be there
        with suppress(OSError):  # not connected any more
            wire.shutdown(socket.SHUT_WR)
        answers = b""
        try:
            while part := wire.recv(65_536):
                answers += part
        except ConnectionError:
            return answers, False
        return answers, True


def _send(random, wire, attack):
    if attack.manner == "at once":
        wire.sendall(attack.data)
        return
    left = attack.data
    for _ in range(random.randint(1, 10)):
        cut = random.randrange(len(left) + 1)
        wire.sendall(left[:cut])
        left = left[cut:]
        time.sleep(random.random() / 50)
    wire.sendall(left)


# --- what may come back, and be logged

LOG_LINE = re.compile(r"(malformed request|connection|\S[^·]* \S[^·]*) (\d{3}|closed|reset)( · .+)*")

_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3}) [\x20-\x7e]*\r\n((?:[^\r\n]+\r\n)*)\r\n")
_LENGTH = re.compile(rb"^Content-Length: (\d+)\r\n", re.MULTILINE)
_KIND = re.compile(rb"^Content-Type: ([a-z/]+)", re.MULTILINE)


def flaw(answers, *, whole, bodiless, is_documented=None):
    """Return the error in these answers; None if each has a documented shape.

    Args:
        answers: All that a connection gave back.
        whole: Whether the last one must be.
        bodiless: Whether an answer may have no body though it says how long that is.
        is_documented: Told of a status, a media type and a body; None for those of the local service.
    """
    left = answers
    while left:
        head = _HEAD.match(left)
        if head is None:
            return f"no answer: {left[:200]!r}" if whole else None
        status, rest = int(head[1]), left[head.end() :]
        length = _LENGTH.search(head[2])
        if status in {100, 204}:
            left = rest
            continue
        if length is None:
            return f"no length: {left[:200]!r}"
        if bodiless and not rest[:1].strip(b"H"):
            left = rest  # nothing, or the next answer
            continue
        body, left = rest[: int(length[1])], rest[int(length[1]) :]
        if len(body) < int(length[1]):
            return f"half an answer: {answers[-200:]!r}" if whole else None
        kind = _KIND.search(head[2])
        if not (is_documented or _documented)(status, kind[1] if kind else None, body):
            return f"{status} {kind and kind[1]}: {body[:200]!r}"
    return None


def _documented(status, kind, body):
    if kind == b"text/plain":
        return status == 200 and (body in {b"0", b"1"} or body.startswith(b"The local service of restante"))
    if kind in {b"image/gif", b"text/javascript"}:
        return status == 200 and (body.startswith(b"GIF89a") or re.fullmatch(rb"f\(.*\);", body) is not None)
    if kind != b"application/json":
        return False
    said = json.loads(body)
    if status == 200:
        return isinstance(said, dict | list)
    return status in {400, 401, 403, 404, 405, 413, 414, 431, 501, 503, 505} and isinstance(
        said["error"], str
    )
