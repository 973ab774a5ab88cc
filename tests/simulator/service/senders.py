"""What senders put on the wire, and what they see."""

import base64
import json
import select
import socket
import ssl
from contextlib import closing
from urllib.parse import urlsplit

IMPORTER = ("T", "")  # a project's token does where credentials are needed
TIMEOUT = 60  # seconds; only a hang takes as long, however busy the machine is


def update(profile="ada", operator="$set", payload=None, token="T"):
    return {
        "$token": token,
        "$distinct_id": profile,
        operator: {"plan": "pro"} if payload is None else payload,
    }


def group(name="acme", payload=None):
    return {"$token": "T", "$group_key": "company", "$group_id": name, "$set": payload or {"sites": 2}}


def increment(profile="ada"):
    return update(profile, "$add", {"visits": 1})


def send(http, service, body, path="/engage", **options):
    options.setdefault("params", {"verbose": "1"})
    options.setdefault("auth", IMPORTER if path == "/import" else None)
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    return http.post(service.url + path, data=data, timeout=TIMEOUT, **options)


def encoded(value):
    return base64.b64encode(json.dumps(value).encode()).decode()


def connected(service):
    url = urlsplit(service.url)
    wire = socket.create_connection((url.hostname, url.port), TIMEOUT)
    if service.ca_file is not None:
        trusting = ssl.create_default_context(cafile=service.ca_file)
        wire = trusting.wrap_socket(wire, server_hostname=url.hostname, suppress_ragged_eofs=False)
    return closing(wire)


def posted(*messages, path="/engage", headers="", encoding="ascii"):
    """The bytes of a request."""
    body = json.dumps(messages)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return (head + body).encode(encoding)


def raw(service, request, *, shut=True):
    """Send these bytes, and return the answer up to the close."""
    with connected(service) as wire:
        wire.sendall(request)
        if shut and service.ca_file is None:  # TLS cannot be closed by half
            wire.shutdown(socket.SHUT_WR)
        answer = b""
        while part := wire.recv(65536):
            answer += part
        return answer


def answers_of(raw_answers):
    """The status lines and the JSON bodies of some answers."""
    parts = [part.partition(b"\r\n\r\n") for part in raw_answers.split(b"HTTP/1.1 ")[1:]]
    return [(int(head[:3]), json.loads(body)) for head, _, body in parts]


SETTINGS = {
    "status": {"code": 503, "retry_after": 2},
    "redirect": {"location": "http://portal.test/sign-in?to=%2F"},
    "slow": {"seconds": 0.01},
    "late": {"seconds": 0.01},
    "part": {"updates": 1},
}
UNREAD = {"refuse", "partial_read"}


def fault(name, at=1, **more):
    return {"at": at, "fault": name, **SETTINGS.get(name, {}), **more}


def seen(service, request):
    """Return the bytes up to the end of the connection, without the date, and True if it ends by RST."""
    answer = b""
    with connected(service) as wire:
        wire.sendall(request)
        try:
            while part := wire.recv(65536):
                answer += part
        except ConnectionResetError:
            return answer, "reset"
        except ssl.SSLEOFError:  # no word of TLS that this is the end; 3.11 says so of a reset, too
            state = select.poll()
            state.register(wire, 0)
            return answer, "reset" if state.poll(0) else "cut off"  # after RST, nothing can be sent either
    lines = [line for line in answer.split(b"\r\n") if not line.startswith((b"Date: ", b"Server: "))]
    return b"\r\n".join(lines), "closed"


CORS = (
    b"Access-Control-Allow-Origin: *\r\n"
    b"Access-Control-Allow-Credentials: true\r\n"
    b"Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
    b"Access-Control-Allow-Headers: Content-Type\r\n"
    b"Access-Control-Expose-Headers: Retry-After\r\n"
    b"Vary: Origin\r\n"
)

MIXED = [update("ada"), {"$token": "T", "$set": {}}, update("bob", "$unset", "plan"), update("cy")]
