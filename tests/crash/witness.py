"""A local service that remembers its requests whole, and can be stopped in the middle of one."""

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

from recorder.model.payloads import Endpoint, endpoint_of
from simulator.service.server import Service

PATIENCE = 30.0  # seconds, for what should take none


@dataclass(frozen=True, slots=True)
class Applied:
    """One request that was applied.

    Attributes:
        lane: Whose endpoint it came to.
        messages: What it carried, in order.
    """

    lane: str
    messages: list[dict[str, Any]]


_LANES = {
    Endpoint.ENGAGE: "people",
    Endpoint.GROUPS: "groups",
    Endpoint.TRACK: "events",
    Endpoint.IMPORT: "events",
}


class Witness(Service):
    """A `Service`, with what it applied as requests, in the order in which it applied them.

    A request can be held at two steps: ``"arrived"``, read whole and not applied yet, and ``"applied"``, not
    answered yet. The sender may be killed in between.
    """

    def __init__(self, faults: Iterable[Any] = ()) -> None:
        self.applied: list[Applied] = []
        self._applying = threading.Lock()
        self._gate = threading.Lock()
        self._step, self._nth = "", 0
        self._held: threading.Event | None = None
        super().__init__(faults=faults)

    def application(self) -> Any:
        inner = super().application()

        def witness(environ: dict[str, Any], start_response: Any) -> Any:
            endpoint = endpoint_of(environ["PATH_INFO"])
            if endpoint is None:
                return inner(environ, start_response)
            self._hold_at("arrived")
            with self._applying:
                body = environ["wsgi.input"].read()
                environ["wsgi.input"].seek(0)
                answer = list(inner(environ, start_response))
                self.applied.append(Applied(_LANES[endpoint], json.loads(body)))
            self._hold_at("applied")
            return answer

        return witness

    # --- holding a request

    def hold_at(self, step: str, nth: int) -> None:
        """Hold the nth request from now on that comes to a step; one that is held goes on."""
        with self._gate:
            self._let_go()
            self._step, self._nth = step, nth

    def _hold_at(self, step: str) -> None:
        with self._gate:
            self._nth -= step == self._step
            if step != self._step or self._nth != 0:
                return
            self._held = held = threading.Event()
        held.wait(PATIENCE)

    @property
    def holds(self) -> bool:
        """Whether the request is there."""
        with self._gate:
            return self._held is not None

    def let_go(self) -> None:
        """Let a request that is held go on; hold none any more."""
        with self._gate:
            self._let_go()

    def _let_go(self) -> None:
        self._step = ""
        if self._held is not None:
            self._held.set()
            self._held = None

    def apply_what_is_late(self) -> None:
        """Let a request that is held be applied, and every late copy, before this returns."""
        with self._gate:
            wanted = len(self.applied) + (self._held is not None and self._step == "arrived")
            self._let_go()
        deadline = time.monotonic() + PATIENCE
        while len(self.applied) < wanted:
            assert time.monotonic() < deadline, "what was held is not applied"
            time.sleep(0.001)
        assert self.settle(PATIENCE), "a late copy is still out"

    def close(self) -> None:
        self.let_go()
        super().close()

    def be_quiet(self) -> None:
        """Wait until all that its senders, who are gone, had sent is applied or given up.

        What waits to be accepted is accepted in order: once a request of our own is answered, so was that.
        """
        with urlopen(f"{self.url}/simulator/profiles") as answer:  # noqa: S310  # on this machine
            answer.read()
        server, _ = self._running
        with server._changed:
            assert server._changed.wait_for(lambda: not server._open, PATIENCE), "a connection is still open"
        assert self.settle(PATIENCE), "a late copy is still out"
