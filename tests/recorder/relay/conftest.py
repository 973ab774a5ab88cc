"""A relay on 127.0.0.1, and requests to it."""

import json
import socket
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from recorder import JournalReader
from recorder.journal.locks import ShipLock
from recorder.relay import Relay

NOWHERE = "http://127.0.0.1:9"  # nobody takes this port, as one that is free now may be taken


class Running:
    """A relay, its journal, and ways to ask."""

    def __init__(self, path, **options):
        self.path = path
        self.journals = options.pop("journals", {"T": path})
        self.options = {"url": NOWHERE, "durability": "process", **options}
        self.locks = [] if "url" in options else [ShipLock(journal) for journal in self.journals.values()]

    def __enter__(self):
        for lock in self.locks:  # nothing is sent where another one ships, and all stays pending
            assert lock.acquire()
        self.relay = Relay(self.journals, **self.options)
        self.relay.start()
        self.url = self.relay.url
        self.port = int(self.url.rpartition(":")[2])
        return self

    def __exit__(self, *_):
        self.relay.close(0)
        for lock in self.locks:
            lock.release()

    def ask(self, path, body=None, **headers):
        """The answer: status, text, headers."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        method = named.pop("method", "GET" if data is None else "POST")
        try:
            with urlopen(Request(self.url + path, data, named, method=method), timeout=30) as answer:  # noqa: S310
                return SimpleNamespace(
                    status=answer.status, text=answer.read().decode(), headers=dict(answer.headers)
                )
        except HTTPError as error:
            with error:
                return SimpleNamespace(
                    status=error.code, text=error.read().decode(), headers=dict(error.headers)
                )

    def connect(self):
        """Return a connection of its own."""
        return socket.create_connection(("127.0.0.1", self.port), 20)

    def entries(self):
        """Lane, message, state and reason of each entry, oldest first."""
        with JournalReader(self.path) as reader:
            return [
                (one.lane.value, dict(one.message), one.state.value, one.reason)
                for one in reversed(list(reader.entries()))
            ]


@pytest.fixture
def running(tmp_path):
    with Running(tmp_path / "site.db") as relay:
        yield relay
