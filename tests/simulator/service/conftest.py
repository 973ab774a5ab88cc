"""A running service, and a client for it."""

import pytest
import requests

from simulator.service.server import Service


@pytest.fixture
def service():
    with Service() as service:
        yield service


@pytest.fixture
def http():
    with requests.Session() as session:
        session.trust_env = False
        yield session


class Clock:
    """A clock that a test advances."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()
