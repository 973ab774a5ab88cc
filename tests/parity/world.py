"""A service with faults and a clock of its own, in memory: what the fault machine ships to."""

import heapq
import json
from dataclasses import dataclass, field

from recorder import Lane
from recorder.journal.uptime import Uptime
from recorder.model.payloads import Endpoint, read_submission
from recorder.shipping.verdicts import Answer
from simulator.service.ingestion import Inbox

URL = "http://service.test/engage"
ENDPOINTS = {Lane.PEOPLE: Endpoint.ENGAGE, Lane.GROUPS: Endpoint.GROUPS, Lane.EVENTS: Endpoint.TRACK}
BAD = "bad"  # the property that this service refuses


class Killed(BaseException):
    """The shipper's process ends here."""


@dataclass
class World:
    """Time, the network and the service, as a test moves them; it is a transport, too.

    Attributes:
        seconds: Since the boot.
        boot: Which boot.
        wall: Seconds since the epoch, as the device's clock has them; may jump.
        plan: What befalls the next requests, in turn; then they go through.
        kill: Called where a process is to end.
        decide: Called with a verb and a state where a person decides while a request is under way.
        settle_after: The assumption about late copies.
        broke: Profiles of requests that were applied later than that.
    """

    seconds: float = 1_000.0
    boot: str = "boot"
    wall: float = 1_700_000_000.0
    plan: list = field(default_factory=list)
    kill: object = None
    decide: object = None
    settle_after: float = 30.0
    inbox: Inbox = field(default_factory=Inbox)
    broke: set = field(default_factory=set)
    applied: list = field(default_factory=list)
    _late: list = field(default_factory=list)
    _arrivals: int = 0

    # --- time

    def uptime(self):
        return Uptime(self.boot, self.seconds)

    def clock(self):
        return self.wall

    def pass_time(self, seconds):
        until = self.seconds + seconds
        while self._late and self._late[0][0] <= until:
            self._take(*self._late[0][2:])
            heapq.heappop(self._late)
        self.seconds, self.wall = until, self.wall + seconds

    def reboot(self):
        """What is under way in the network arrives: a boot takes longer than a request lives."""
        while self._late:
            self._take(*heapq.heappop(self._late)[2:])
        self.boot, self.seconds = self.boot + "'", 10.0

    # --- a transport

    def reach(self, lane):  # noqa: ARG002
        fault = self.plan[0][0] if self.plan else "ok"
        if fault == "offline":
            self.plan.pop(0)
            return "connection refused"
        return None

    def send(self, lane, body, *, timeout=None):  # noqa: ARG002
        fault, value = self.plan.pop(0) if self.plan else ("ok", None)
        return getattr(self, f"_{fault}")(lane, body, value)

    def close(self):
        pass

    # --- what befalls a request

    def _take(self, lane, body):
        updates = json.loads(body)
        if any(BAD in (update.get("$add") or {}) for update in updates):
            return Answer(
                left=True,
                url=URL,
                status=400,
                body=b'{"status": 0, "error": "bad %d"}' % updates[0]["serial"],
            )
        endpoint = ENDPOINTS[lane]
        receipt = self.inbox.take(endpoint, read_submission(endpoint, b"verbose=1", body))
        assert receipt.accepted == len(updates), receipt
        self.applied += [update["serial"] for update in updates]
        return Answer(left=True, url=URL, status=200, body=b'{"status": 1, "error": null}')

    def _ok(self, lane, body, _):
        return self._take(lane, body)

    def _decided(self, lane, body, decision):
        self.decide(*decision)
        return self._take(lane, body)

    def _decided_in_doubt(self, lane, body, decision):
        self.decide(*decision)
        return self._reset(lane, body, None)

    def _offline(self, lane, body, _):  # noqa: ARG002
        return Answer(left=False, url=URL, error="connection refused")

    def _reset(self, lane, body, _):  # noqa: ARG002
        return Answer(left=True, url=URL, error="the connection was reset")

    def _ack_lost(self, lane, body, _):
        self._take(lane, body)
        return Answer(left=True, url=URL, error="the connection was closed without an answer")

    def _late_copy(self, lane, body, seconds):
        self._arrivals += 1
        heapq.heappush(self._late, (self.seconds + seconds, self._arrivals, lane, body))
        if seconds > self.settle_after:
            self.broke |= {
                (u.get("$group_key"), u.get("$group_id") or u["$distinct_id"]) for u in json.loads(body)
            }
        return Answer(left=True, url=URL, error="timed out after the request had left")

    def _status(self, lane, body, code):  # noqa: ARG002
        return Answer(left=True, url=URL, status=code, body=b"no")

    def _storm(self, lane, body, code):
        self._take(lane, body)
        return Answer(left=True, url=URL, status=code, body=b"no")

    def _patience(self, lane, body, seconds):  # noqa: ARG002
        return Answer(left=True, url=URL, status=429, headers={"retry-after": str(seconds)})

    def _portal(self, lane, body, _):  # noqa: ARG002
        return Answer(left=True, url=URL, status=200, headers={"content-type": "text/html"}, body=b"<html>")

    def _killed_before(self, lane, body, _):  # noqa: ARG002
        self.kill()
        raise Killed

    def _killed_after(self, lane, body, _):
        self._take(lane, body)
        self.kill()
        raise Killed
