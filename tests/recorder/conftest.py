"""Journals, and a service that says what it is told."""

from collections import deque

import pytest

from recorder import Answer, Journal, Lane, Recorder


class Scripted:
    """A transport that answers from a list, and remembers what it was sent."""

    def __init__(self, *answers):
        self.answers = deque(answers)
        self.sent = []

    def send(self, lane, body, *, timeout=None):
        self.sent.append((lane, body))
        given = self.answers.popleft() if self.answers else ACCEPTED
        return given(lane, body, timeout) if callable(given) else given

    def close(self):
        pass


URL = "https://service.test/engage"
ACCEPTED = Answer(left=True, url=URL, status=200, body=b'{"status": 1, "error": null}')
REFUSED = Answer(left=True, url=URL, status=400, body=b'{"status": 0, "error": "$add: value is not numeric"}')
RESET = Answer(left=True, url=URL, error="the connection was reset")
UNREACHABLE = Answer(left=False, url=URL, error="connection refused")
FORBIDDEN = Answer(left=True, url=URL, status=403, body=b"no")
PATIENCE = Answer(left=True, url=URL, status=429, headers={"retry-after": "3600"})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kiosk.db"


@pytest.fixture
def journal(path):
    with Journal(path, token="T") as opened:
        yield opened


@pytest.fixture
def recorder(journal):
    with Recorder("T", journal) as opened:
        yield opened


@pytest.fixture
def scripted():
    return Scripted


__all__ = ["ACCEPTED", "FORBIDDEN", "PATIENCE", "REFUSED", "RESET", "UNREACHABLE", "Lane"]
