"""A transport that answers from a list, and the answers of services, good and bad."""

from collections import deque

from recorder import Lane, ShippingPolicy
from recorder.journal.claims import ClaimSize, Shipping
from recorder.journal.uptime import Uptime
from recorder.shipping.verdicts import Answer

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
        self.routes = []

    def send(self, lane, body, *, route=None, timeout=None):
        self.sent.append((lane.value, body))
        self.routes.append(route)
        given = self.answers.popleft() if self.answers else ACCEPTED
        return given(lane, body, timeout) if callable(given) else given

    def reach(self, lane):  # noqa: ARG002  # as a transport
        return None

    def close(self):
        pass


BOOTED = Uptime("boot", 1_000.0)
AT_ONCE = ShippingPolicy(settle_after=0)


class Boot:
    """The system's uptime as a test moves it."""

    def __init__(self):
        self.now = BOOTED

    def __call__(self):
        return self.now

    def passes(self, seconds):
        self.now = Uptime(self.now.boot, self.now.seconds + seconds)

    def again(self, name, seconds):
        self.now = Uptime(name, seconds)


def take_over(journal, now=1.0, policy=AT_ONCE):
    """Become the shipper of a journal, without a Shipper."""
    return journal.claims.take_over(now, BOOTED, service="", policy=policy)


def claim(journal, epoch, updates=1, size=10_000, *, uptime=BOOTED, policy=AT_ONCE):
    """Claim what goes next of people, without a Shipper."""
    shipping = Shipping(epoch, 1.0, uptime, policy)
    return journal.claims.claim(Lane.PEOPLE, ClaimSize(updates, size), shipping)
