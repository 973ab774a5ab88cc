"""A transport that answers from a list, and the answers of services, good and bad."""

from collections import deque

from recorder import Answer

URL = "https://service.test/engage"
ACCEPTED = Answer(left=True, url=URL, status=200, body=b'{"status": 1, "error": null}')
REFUSED = Answer(left=True, url=URL, status=400, body=b'{"status": 0, "error": "$add: value is not numeric"}')
RESET = Answer(left=True, url=URL, error="the connection was reset")
UNREACHABLE = Answer(left=False, url=URL, error="connection refused")
FORBIDDEN = Answer(left=True, url=URL, status=403, body=b"no")
PATIENCE = Answer(left=True, url=URL, status=429, headers={"retry-after": "3600"})


class Scripted:
    """A transport that gives these answers in turn, then accepts; it remembers what it was sent."""

    def __init__(self, *answers):
        self.answers = deque(answers)
        self.sent = []

    def send(self, lane, body, *, timeout=None):
        self.sent.append((lane.value, body))
        given = self.answers.popleft() if self.answers else ACCEPTED
        return given(lane, body, timeout) if callable(given) else given

    def reach(self, lane):  # noqa: ARG002  # as a transport
        return None

    def close(self):
        pass
