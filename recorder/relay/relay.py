"""`Relay`: the relay as a context manager."""

import socket
import threading
from collections.abc import Callable, Collection, Mapping
from functools import partial
from ipaddress import ip_address, ip_network
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

from recorder.background import Delivery
from recorder.journal.uptime import now
from recorder.model.addresses import SERVICE
from recorder.model.operations import UnknownOperators
from recorder.model.policy import ShippingPolicy
from recorder.reading.metrics import Family, Known, families_of
from recorder.reading.sentence import shipping_of
from recorder.reading.status import StatusReader
from recorder.relay.application import Application
from recorder.relay.inbox import Inbox
from recorder.relay.pages import Pages

try:
    from recorder.relay.server import HttpServer
except ModuleNotFoundError as missing:
    raise ImportError(
        f"the relay needs {str(missing.name).partition('.')[0]}: pip install 'restante[relay]'",
        name=missing.name,
    ) from missing

if TYPE_CHECKING:
    from recorder.shipping.transport import ImportCredentials

__all__ = ["Relay"]

_BUSY_SECONDS = 5.0  # a sender waits as long for a journal that another process has locked
_NEEDS_SOMEBODY = frozenset({"paused", "full"})


class Relay:
    """Takes what official SDKs send, journals it before it answers, and ships it; from `start` to `close`.

    Args:
        journals: The path of each project's journal, by the project's token.
        port: TCP port; 0 for any free port.
        host: The address to listen on. Any but a loopback address demands `allow`.
        allow: Networks from which others may connect, such as ``"192.168.7.0/24"``; this computer always may.
        origins: Web pages that may send, such as ``"http://127.0.0.1:8000"``; no other may.
        url: The service's base address, for all projects or by token; overrides `api_host`.
        api_host: The service's host; ``eu`` and ``in`` for its regions.
        policy: Sizes of requests, pace, and the fate of entries in doubt, for all projects or by token.
        unknown_operators: As for `Recorder`.
        import_credentials: As for `JournalConsumer`. Without them, imports are sent with those that came with the
            latest import, else with the project's token.
        on_event: Called with a project's token and what `Recorder` would call its own with.
        log: Called with a line for each request before it is answered.
        clock: Seconds since the epoch.
        **journal_options: See `Journal`.

    Raises:
        ValueError: `host` needs `allow`, or something is no network or origin.
        OSError: It cannot listen there.
        JournalError: A journal cannot be used, or is another project's.

    >>> import pathlib, tempfile
    >>> from urllib.request import urlopen
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "site.db"
    >>> with Relay({"PROJECT": path}, url="http://127.0.0.1:9") as relay:
    ...     body = b'{"$token": "PROJECT", "$distinct_id": "ada", "$set": {"plan": "pro"}}'
    ...     with urlopen(relay.url + "/engage", data=body) as answer:
    ...         answer.read()
    b'1'
    """

    def __init__(
        self,
        journals: Mapping[str, str | PathLike[str]],
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        allow: Collection[str] = (),
        origins: Collection[str] = (),
        url: str | Mapping[str, str] | None = None,
        api_host: str = SERVICE,
        policy: ShippingPolicy | Mapping[str, ShippingPolicy] | None = None,
        unknown_operators: UnknownOperators = "refuse",
        import_credentials: "ImportCredentials | None" = None,
        on_event: Callable[[str, Any], None] | None = None,
        log: Callable[[str], object] | None = None,
        clock: Callable[[], float] = now,
        **journal_options: Any,
    ) -> None:
        if not journals:
            raise ValueError("a relay needs the journal of a project")
        self._networks = [ip_network(network) for network in allow]
        self._host, self._port = host, port
        self._origins = tuple(origins)
        Pages(self._origins, None)  # refuses what is no origin
        self._journals = dict(journals)
        self._clock = clock
        self._server: HttpServer | None = None
        self._inbox: Inbox | None = None
        self._deliveries: dict[str, Delivery] = {}
        self._unknown_operators = unknown_operators
        self._import_credentials = import_credentials
        self._log = log
        self._deliver = partial(
            _delivery,
            url=url,
            policy=policy,
            api_host=api_host,
            on_event=on_event,
            clock=clock,
            import_credentials=import_credentials,
            journal_options={"busy_timeout": _BUSY_SECONDS, **journal_options},
        )

    def start(self) -> None:
        """Open the journals, listen and ship; once this returns, the URL answers."""
        family, *_, wanted = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(wanted, family=family, backlog=128)
        try:
            bound, self._port = listener.getsockname()[:2]
            loopback = ip_address(bound).is_loopback
            if not loopback and not self._networks:
                raise ValueError(
                    f"{self._host} can be reached by others: name the networks that may send, with --allow or allow="
                )
            for token, path in self._journals.items():
                self._deliveries[token] = self._deliver(token, path)
            self._inbox = Inbox(
                self._deliveries,
                self._clock,
                self._unknown_operators,
                takes_accounts=self._import_credentials is None,
            )
            pages = Pages(self._origins, None if loopback else self._host)
            application = Application(self._inbox, pages, self.health, self.metrics, self._log)
            self._server = HttpServer(application, listener, self._admits)
        except BaseException:
            listener.close()
            self._end_deliveries(0.0)
            raise
        self._server.start()

    def close(self, timeout: float = 2.0) -> None:
        """Answer what is being answered, and end; what is not shipped stays in the journals.

        Args:
            timeout: Seconds for a last try to ship, and for the answer to what is under way.
        """
        if self._server is not None:
            self._server.end()
            self._server = None
        if self._inbox is not None:
            self._inbox.note_senders()
            self._inbox = None
        self._end_deliveries(timeout)

    def _end_deliveries(self, timeout: float) -> None:
        enders = [
            threading.Thread(target=delivery.close, args=(timeout,)) for delivery in self._deliveries.values()
        ]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The base address of the relay."""
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104  # it means the loopback one, too
        host = f"[{address}]" if ":" in address else address
        return f"http://{host}:{self._port}"

    def health(self) -> tuple[bool, str]:
        """Return True if no journal needs a person, and a sentence about each."""
        known = self._known()
        well = all(one.shipping.state not in _NEEDS_SOMEBODY for one in known.values())
        several = len(known) > 1
        sentences = [f"{path}: " * several + one.shipping.sentence for path, one in known.items()]
        return well, "\n".join(sentences)

    def metrics(self) -> list[Family]:
        """Return the state of all journals as metrics."""
        return families_of(self._known())

    def _known(self) -> dict[str, Known]:
        known = {}
        for path in map(str, self._journals.values()):
            with StatusReader(path, clock=self._clock) as reader:
                counts, shipper = reader.counts(), reader.shipping()
            known[path] = Known(counts, shipping_of(counts, shipper, now=self._clock()), shipper)
        return known

    def _admits(self, address: str) -> bool:
        peer = ip_address(address)
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return peer.is_loopback or any(peer in network for network in self._networks)


def _delivery(
    token: str,
    path: str | PathLike[str],
    *,
    url: str | Mapping[str, str] | None,
    policy: ShippingPolicy | Mapping[str, ShippingPolicy] | None,
    on_event: Callable[[str, Any], None] | None,
    import_credentials: "ImportCredentials | None",
    **options: Any,
) -> Delivery:
    return Delivery(
        path,
        token=token,
        background=True,
        url=url.get(token) if isinstance(url, Mapping) else url,
        policy=policy.get(token) if isinstance(policy, Mapping) else policy,
        on_event=None if on_event is None else partial(on_event, token),
        import_credentials=import_credentials or (token, ""),
        **options,
    )
