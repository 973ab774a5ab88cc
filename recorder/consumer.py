"""`JournalConsumer`: the official SDK's door to the journal, ``Mixpanel(token, consumer=JournalConsumer(...))``."""

import json
import sys
import time
from collections.abc import Callable
from os import PathLike
from typing import Any, NoReturn, Self

from recorder.delivery import Delivery
from recorder.entries import NewEntry, ShipReport
from recorder.errors import InvalidOperation, RestanteError, WrongToken
from recorder.intake import Intake, OnInvalid
from recorder.journal import Journal
from recorder.operations import Lane
from recorder.people import stamped
from recorder.policy import ShippingPolicy

__all__ = ["JournalConsumer"]


class JournalConsumer:
    """A consumer for the official Python SDK that journals instead of posting.

    People and group messages are validated and split like those of ``people_update``; events and imports
    travel as they are, each in a lane of its own. The first message's token makes the journal that
    project's. Credentials handed to `send` are not written down. ``Mixpanel.alias()`` bypasses every
    consumer and posts at once: that is how the SDK is made.

    Args:
        journal: A path or a `Journal`, as for `Recorder`; the other arguments, too, are Recorder's.

    >>> import pathlib, tempfile
    >>> consumer = JournalConsumer(pathlib.Path(tempfile.mkdtemp()) / "kiosk.db")
    >>> consumer.send("people", '{"$token":"PROJECT","$distinct_id":"ada","$set":{"plan":"pro"}}')
    >>> consumer.journal.token
    'PROJECT'
    >>> consumer.close()
    """

    def __init__(
        self,
        journal: str | PathLike[str] | Journal,
        *,
        background: bool = False,
        url: str | None = None,
        api_host: str = "api.mixpanel.com",
        policy: ShippingPolicy | None = None,
        on_invalid: OnInvalid = "raise",
        on_event: Callable[[Any], None] | None = None,
        clock: Callable[[], float] = time.time,
        **journal_options: Any,
    ) -> None:
        self._clock = clock
        self._on_invalid = on_invalid
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
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __bool__(self) -> bool:
        """Always true: the SDK puts a network client in the place of a falsy consumer."""
        return True

    @property
    def journal(self) -> Journal:
        """Where it records."""
        return self._delivery.journal

    def send(
        self,
        endpoint: str,
        json_message: str,
        api_key: Any = None,  # noqa: ARG002  # credentials are the transport's business, never the journal's
        api_secret: Any = None,  # noqa: ARG002
    ) -> None:
        """Journal one message; returns when it is there.

        Args:
            endpoint: ``people``, ``groups``, ``events`` or ``imports``.
            json_message: As the SDK makes it.
            api_key: Not used, and not written down.
            api_secret: Not used, and not written down.

        Raises:
            mixpanel.MixpanelException: The endpoint is unknown (RestanteError where mixpanel is not imported).
            InvalidOperation: The message could never be accepted; nothing was journaled.
            WrongToken: It belongs to another project than the journal.
        """
        try:
            lane = Lane(endpoint)
        except ValueError:
            _unknown(endpoint)
        try:
            message = json.loads(json_message)
        except (ValueError, RecursionError) as error:
            raise InvalidOperation("message", f"is not JSON: {error}") from None
        self._delivery.append(self._rows(lane, message))

    def _rows(self, lane: Lane, message: Any) -> list[NewEntry]:
        now = self._clock()
        if lane in {Lane.PEOPLE, Lane.GROUPS}:
            stamp = stamped(message, None, now)
            return Intake(self._project(stamp.get("$token")), self._on_invalid).rows(lane, stamp, now)
        properties = message.get("properties") if isinstance(message, dict) else None
        project = self._project(properties.get("token") if isinstance(properties, dict) else None)
        return [Intake(project).event(lane, message, now)]

    def _project(self, token: Any) -> str:
        """The journal's token; the first message's, where it has none yet."""
        if self.journal.token is None:
            if not isinstance(token, str) or not token:
                raise WrongToken(
                    "the message names no project token", hint="Give Mixpanel() the project's token."
                )
            self.journal.bind(token)
        elif isinstance(token, str) and token != self.journal.token:
            raise WrongToken("the message names another project's token than this journal's")
        return self.journal.token or ""

    def flush(self, timeout: float | None = 10.0) -> ShipReport:
        """Send all that may go now; `timeout` in seconds."""
        return self._delivery.flush(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """End it, as `Recorder.close` does; `timeout` in seconds."""
        self._delivery.close(timeout)


def _unknown(endpoint: str) -> NoReturn:
    words = f"no such endpoint {endpoint!r}; there are {', '.join(Lane)}"
    mixpanel = sys.modules.get("mixpanel")
    if mixpanel is not None:
        raise mixpanel.MixpanelException(words)
    raise RestanteError(words)
