"""`Service`: the local service as a context manager."""

import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from math import inf
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self

from recorder.model.dialect import Dialect
from simulator.service.faults import Fault, parse_schedule
from simulator.service.ingestion import Acceptance, Inbox, Mixed, OldEvents, Received
from simulator.service.late import LateArrivals
from simulator.service.queries import Queries
from simulator.service.tls import certified

try:
    from simulator.service.connections import HttpServer
    from simulator.service.routes import Application
except ModuleNotFoundError as missing:
    raise ImportError(
        f"the local service needs {missing.name}: pip install 'restante[service]'", name=missing.name
    ) from missing

__all__ = ["Service"]


class Service:
    """The local service, running on its own thread from `start` to `close` or inside ``with``; it starts once.

    Args:
        port: TCP port; 0 for any free port.
        host: Address or name to listen on; ``"0.0.0.0"`` for all IPv4 addresses, ``"::"`` for all IPv6 ones. Whoever
            reaches it can read and reset the profiles; web pages cannot.
        tls: Speak HTTPS, with a certificate made at each start for localhost, 127.0.0.1, ::1, `host`, and the names
            by which containers and the Android emulator reach this computer.
        mixed: Treatment of a batch with some malformed messages: ``"apply-valid"`` answers 1 and takes the valid ones,
            as the real service documents; ``"reject-all"`` answers 0 and takes nothing.
        old_events: Answer of /track to an event of more than five days ago, which is not ingested: ``"drop"`` counts it
            as valid, ``"refuse"`` as malformed.
        credentials: Name and secret of the only service account that may import and query; any token or secret without
            a password may, too. With None anybody may, also without credentials, whom the real service answers 401.
        queries_an_hour: Queries answered in an hour, over which 429 is answered, as the real service does over 60.
        read_lag: Seconds by which queries show profiles as they were; of several, queries take turns, as if each were
            answered by another replica.
        hidden: Names of properties that no query shows, as classified ones are hidden from some accounts; ``*`` stands
            for any text.
        merged: Users' ids and the id that each was merged into. Updates of both make one profile, and a query for
            either shows it, under the second.
        faults: A fault schedule, as JSON values or as faults; see `simulator.service.faults`.
        dialect: Policies for what else the real service does not document.
        patience: Seconds until a silent or idle connection is closed.
        clock: Returns the seconds since the epoch, by which events are old, reads lag, copies are late, and hours end.
        log: Called with a line for each request before it is answered: ``print``, or a logger's ``info``. The call
            should be quick, as the answer waits for it; its errors are ignored.

    Attributes:
        dialect: As given.
        ca_file: The file with the certificate of the authority that senders must trust, from `start` to `close`; None
            without `tls`. Its private key was never written.

    Raises:
        InvalidSchedule: `faults` is not a schedule.
        ValueError: `mixed` or `old_events` is unknown, `read_lag` is negative or none, or a merged id is merged into.

    >>> from urllib.request import urlopen
    >>> with Service() as service:
    ...     body = b'{"$token": "T", "$distinct_id": "ada", "$set": {"plan": "pro"}}'
    ...     with urlopen(service.url + "/engage", data=body) as answer:
    ...         answer.read(), service.profiles()
    (b'1', {'ada': {'plan': 'pro'}})
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        tls: bool = False,
        mixed: str = Mixed.APPLY_VALID,
        old_events: str = OldEvents.DROP,
        credentials: tuple[str, str] | None = None,
        queries_an_hour: int | None = None,
        read_lag: float | Sequence[float] = 0.0,
        hidden: Iterable[str] = (),
        merged: Mapping[str, str] | None = None,
        faults: Iterable[Any] = (),
        dialect: Dialect | None = None,
        patience: float = 60.0,
        clock: Callable[[], float] = time.time,
        log: Callable[[str], object] | None = None,
    ) -> None:
        self.patience = patience
        self._log = log
        self._port = port
        self._host = host
        self._tls = tls
        self.ca_file: Path | None = None
        self._own_name: str | None = None  # on a loopback address, the names of other computers are refused
        self.dialect = dialect or Dialect()
        merged = _checked(merged or {})
        self._new_inbox = partial(Inbox, Mixed(mixed), OldEvents(old_events), self.dialect, clock, merged)
        self._new_queries = partial(
            Queries,
            an_hour=queries_an_hour,
            clock=clock,
            read_lags=_lags(read_lag),
            hidden=tuple(hidden),
            merged=merged,
        )
        self._credentials = credentials
        self._inbox = self._new_inbox()
        self._late = LateArrivals(clock)
        self._counting = Lock()
        self._schedule(parse_schedule(list(faults)))
        self._closing = Event()
        self._running: tuple[HttpServer, Thread] | None = None

    # --- running

    def start(self) -> None:
        """Listen and answer on another thread; once this returns, the URL answers.

        Raises:
            OSError: The port is in use or not permitted, or `host` is no address of this computer.
            UnicodeError: `host` cannot be a name.
            ImportError: `tls` needs trustme, which is not installed.
        """
        # Bound here: werkzeug prints a message and ends the process if a port is in use.
        family, *_, wanted = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)[0]
        with socket.create_server(wanted, family=family, backlog=128) as listener:
            bound, self._port = listener.getsockname()[:2]
            address = ip_address(bound)
            if not address.is_loopback:
                self._own_name = self._host
            if address.is_unspecified:  # no address to send to, but the loopback one is among those it means
                self._host = "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004
            context, self.ca_file = certified(self._host) if self._tls else (None, None)
            server = HttpServer(self, listener, context)
        thread = Thread(target=server.serve_forever, args=(0.05,), name="restante-service", daemon=True)
        self._running = server, thread
        thread.start()

    def serve_forever(self) -> None:
        """Start if necessary, and return once another thread or a signal handler closes it."""
        if self._running is None:
            self.start()
        self._closing.wait()

    def close(self) -> None:
        """Stop. Answers under way are sent; delayed requests and late copies not yet due are dropped."""
        self._closing.set()
        if self.ca_file is not None:  # before anything that waits: a second signal may end that
            self.ca_file.unlink(missing_ok=True)
        self._late.close()
        if self._running is not None:
            server, thread = self._running
            with suppress(
                OSError
            ):  # wakes the thread at once where the system allows it, and not at its next look
                server.socket.shutdown(socket.SHUT_RDWR)
            server.shutdown()
            thread.join()
            server.end_connections()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- looking and steering

    @property
    def url(self) -> str:
        """The base URL for programs on this computer, such as ``http://127.0.0.1:8765``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}"

    def profiles(self, token: str | None = None) -> dict[str, dict[str, Any]]:
        """Users' profiles, id to properties, of one project or of all.

        If two projects have the same id, the newer project's profile is shown.
        """
        return self._now().profiles(token)

    def groups(self, token: str | None = None) -> dict[str, dict[str, dict[str, Any]]]:
        """Groups' profiles, group key to id to properties; projects as in `profiles`."""
        return self._now().groups(token)

    def messages(self, verdict: str | None = None, token: str | None = None) -> list[Received]:
        """Messages that reached the service, in order of arrival.

        Args:
            verdict: ``"accepted"`` or ``"rejected"``; None for both.
            token: Only this project's.

        Raises:
            ValueError: Unknown verdict.
        """
        return self._now().messages(None if verdict is None else Acceptance(verdict), token)

    def set_faults(self, faults: Iterable[Any]) -> None:
        """Replace the fault schedule, and count requests from 1 again.

        Args:
            faults: As JSON values or as faults.

        Raises:
            InvalidSchedule: Not a schedule; the previous one stays.
        """
        self._schedule(parse_schedule(list(faults)))

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until no late copy is outstanding; return True if none is.

        Args:
            timeout: Seconds to wait at most; None waits until all have arrived.

        >>> from urllib.request import urlopen
        >>> with Service(faults=[{"at": 1, "fault": "late", "seconds": 0.1}]) as service:
        ...     try:
        ...         urlopen(service.url + "/engage", data=b'{"$token": "T", "$distinct_id": "ada", "$set": {}}')
        ...     except ConnectionError:
        ...         service.settle(timeout=10), service.profiles()
        (True, {'ada': {}})
        """
        return self._late.settle(timeout)

    def reset(self, token: str | None = None) -> None:
        """Forget the profiles and messages of one project or all; the fault schedule continues.

        Late copies still arrive: call `settle` first if they should not.
        """
        self._now().reset(token)

    def _now(self) -> Inbox:
        self.apply_late()
        return self._inbox

    # --- for its connections

    def application(self) -> Application:
        """Return the routes as a WSGI application without faults."""
        return self._application(self._inbox)

    def rehearsal(self) -> Application:
        """Return the same routes over an empty inbox: equal answers, nothing applied.

        Equal because an answer depends on the request and the clock, not on stored profiles.
        """
        return self._application(self._new_inbox())

    def _application(self, inbox: Inbox) -> Application:
        queries = self._new_queries(inbox)
        return Application(inbox, self._schedule, queries, account=self._credentials, own_name=self._own_name)

    def _schedule(self, faults: Iterable[Fault]) -> None:
        with self._counting:
            self._requests = 0
            self._faults = {fault.at: fault for fault in faults}

    def next_fault(self) -> Fault | None:
        """Count one ingestion request, and return its fault."""
        with self._counting:
            self._requests += 1
            return self._faults.get(self._requests)

    def add_late(self, seconds: float, apply: Callable[[], object]) -> None:
        """Call `apply` in so many seconds unless the service closes first."""
        self._late.add(seconds, apply)

    def apply_late(self) -> None:
        """Apply the late copies that are due: the clock may have been moved since."""
        self._late.arrive()

    def note(self, line: str) -> None:
        """Hand a line to the log, whose errors must not become the sender's."""
        if self._log is not None:
            with suppress(Exception):
                self._log(line)

    def hold(self, seconds: float) -> bool:
        """Wait; return False if the service closes meanwhile."""
        return not self._closing.wait(seconds)


def _lags(given: float | Sequence[float]) -> tuple[float, ...]:
    lags = tuple(given) if isinstance(given, Sequence) else (given,)
    if not lags or not all(0 <= lag < inf for lag in lags):
        raise ValueError(f"read_lag must be seconds from 0, or some of them, not {given!r}")
    return lags


def _checked(merged: Mapping[str, str]) -> dict[str, str]:
    for id_, into in merged.items():
        if into in merged:
            raise ValueError(f"{id_!r} cannot be merged into {into!r}, which is merged into {merged[into]!r}")
    return dict(merged)
