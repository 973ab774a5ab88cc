"""`JournalConsumer`, for the official SDK: ``Mixpanel(token, consumer=JournalConsumer(...))``."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

from recorder.background import Delivery
from recorder.journal.journal import Journal
from recorder.journal.uptime import now
from recorder.model.addresses import SERVICE
from recorder.model.entries import NewEntry
from recorder.model.errors import InvalidOperation, RestanteError, WrongToken
from recorder.model.intake import Intake, OnInvalid, token_of
from recorder.model.json_value import kind_of, parse_json
from recorder.model.operations import Lane, UnknownOperators
from recorder.model.tokens import check_token

if TYPE_CHECKING:
    from recorder.model.policy import ShippingPolicy
    from recorder.model.shipping import ShipReport
    from recorder.shipping.transport import ImportCredentials

__all__ = ["JournalConsumer"]


@contextlib.contextmanager
def _sdk_errors() -> Iterator[None]:
    """Make errors the SDK's, too: apps have handlers for those."""
    try:
        yield
    except RestanteError as error:
        mixpanel = sys.modules.get("mixpanel")
        if mixpanel is not None and not isinstance(error, mixpanel.MixpanelException):
            error.__class__ = _of_both(type(error), mixpanel.MixpanelException)
        raise


def _of_both(ours: type[RestanteError], theirs: type[Exception]) -> type[RestanteError]:
    def reduce(error: RestanteError) -> tuple[object, ...]:
        """Pickle as the error that others can import: it crosses process borders, as from a worker."""
        return (ours, *ours.__reduce__(error)[1:])

    return type(ours.__name__, (ours, theirs), {"__module__": ours.__module__, "__reduce__": reduce})


class JournalConsumer:
    """A consumer for the official Python SDK that journals instead of posting.

    People and group messages are validated and split like those of ``people_update``; events and imports
    travel as they are, each in a lane of its own, but that an event gets a ``time`` and an ``$insert_id`` where
    it has none. The first message's token makes the journal that project's. Threads may share one, from the
    first message on. Where mixpanel is imported, its errors are also
    ``mixpanel.MixpanelException``, so that an app's handlers catch them.

    ``Mixpanel.alias()`` bypasses every consumer and posts at once. To have it journaled in the order of the other
    events, call ``track(original, "$create_alias", {"alias": alias_id})`` instead.

    Args:
        journal: A path or a `Journal`, as for `Recorder`; so are the arguments not named here.
        import_credentials: For imports and old events, as for `HttpTransport`: ``(secret, "")``, or a service
            account's ``(user, password, project_id)``. They win over those that ``import_data`` and ``merge``
            hand to `send`. Neither is ever written down: they are gone when the process ends, and imports
            that a service refuses for want of them wait, paused, until they are given again.

    >>> import pathlib, tempfile
    >>> consumer = JournalConsumer(pathlib.Path(tempfile.mkdtemp()) / "kiosk.db")
    >>> consumer.send("people", '{"$token":"PROJECT","$distinct_id":"ada","$set":{"plan":"pro"}}')
    >>> consumer.journal.token
    'PROJECT'
    >>> consumer.close()
    """

    @_sdk_errors()
    def __init__(
        self,
        journal: str | PathLike[str] | Journal,
        *,
        background: bool = False,
        url: str | None = None,
        api_host: str = SERVICE,
        policy: "ShippingPolicy | None" = None,
        on_invalid: OnInvalid = "raise",
        unknown_operators: UnknownOperators = "refuse",
        on_event: Callable[[Any], None] | None = None,
        import_credentials: "ImportCredentials | None" = None,
        clock: Callable[[], float] = now,
        **journal_options: Any,
    ) -> None:
        self._clock = clock
        self._intake = Intake("", on_invalid, unknown_operators=unknown_operators)  # of no project yet
        self._takes_credentials = import_credentials is None
        self._delivery = Delivery(
            journal,
            token=journal_options.pop("token", None),
            background=background,
            url=url,
            api_host=api_host,
            policy=policy,
            on_event=on_event,
            clock=clock,
            journal_options=journal_options,
            import_credentials=import_credentials,
        )

    def __repr__(self) -> str:
        return f"JournalConsumer(journal={str(self.journal.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __bool__(self) -> bool:
        """Return True: the SDK puts a network client in the place of a falsy consumer."""
        return True

    @property
    def journal(self) -> Journal:
        """The journal that it records into."""
        return self._delivery.journal

    @_sdk_errors()
    def send(self, endpoint: str, json_message: str, api_key: Any = None, api_secret: Any = None) -> None:
        """Journal one message, and return when it is there.

        Args:
            endpoint: ``people``, ``groups``, ``events`` or ``imports``.
            json_message: As the SDK makes it; an array of messages is journaled whole, or not at all.
            api_key: Not used: the service wants only the secret. The SDK may hand over both here:
                ``(api_key, api_secret)``.
            api_secret: The secret for imports from now on, unless the constructor was given credentials.
                Kept in memory only.

        Raises:
            RestanteError: The endpoint is unknown.
            InvalidOperation: The message could never be accepted; nothing was journaled.
            WrongToken: It belongs to another project than the journal.
        """
        try:
            lane = Lane(endpoint)
        except ValueError:
            raise RestanteError(
                f"no such endpoint {endpoint!r}; the endpoints are {', '.join(Lane)}"
            ) from None
        try:
            given = parse_json(json_message)
        except (ValueError, RecursionError) as error:
            raise InvalidOperation("message", f"is not JSON: {error}") from None
        messages = given if isinstance(given, list) else [given]
        rows = [row for message in messages for row in self._rows(lane, message)]
        if not rows:
            return
        if lane is Lane.IMPORTS and self._takes_credentials:
            secret = api_key[1] if isinstance(api_key, tuple) else api_secret
            if secret is not None:  # before the rows: in the background they may go at once
                self._delivery.use_import_credentials((str(secret), ""))
        self._delivery.append(rows)

    def _rows(self, lane: Lane, message: Any) -> list[NewEntry]:
        if not isinstance(message, dict):
            raise InvalidOperation("message", f"must be an object, not {kind_of(message)}")
        intake = self._for_project(token_of(lane, message))
        return intake.received(lane, message, self._clock(), os.urandom(16).hex())

    def _for_project(self, token: Any) -> Intake:
        """Return the intake of the journal's project: the first message's, if it belongs to none yet."""
        journal = self.journal
        if journal.token is None and token is not None:
            check_token(token)
            with contextlib.suppress(WrongToken):  # another thread's message came first: see below
                journal.bind(token)
        if journal.token is None:
            raise WrongToken(
                "the message names no project token", hint="Give Mixpanel() the project's token."
            )
        intake = self._intake
        if intake.token != journal.token:
            # Threads may do this at the same time, and all make the same of it.
            self._intake = intake = intake.of_project(journal.token)
        return intake

    @_sdk_errors()
    def flush(self, timeout: float | None = 10.0) -> "ShipReport":
        """Send all that can be sent now, and report; failures of the network raise nothing.

        Args:
            timeout: Seconds in all; None for no limit.
        """
        return self._delivery.flush(timeout)

    @_sdk_errors()
    def close(self, timeout: float = 2.0) -> None:
        """End it, as `Recorder.close` does; `timeout` in seconds."""
        self._delivery.close(timeout)
