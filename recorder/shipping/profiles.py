"""Profiles written and read over HTTP, and settling by them for as long as it takes."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import requests

from recorder.journal.journal import Journal
from recorder.journal.readback import Profiles
from recorder.model.addresses import base_of, is_loopback, query_base_of
from recorder.model.entries import AttemptOutcome
from recorder.model.errors import ShippingError
from recorder.model.operations import Lane
from recorder.model.reports import Readback
from recorder.model.told import as_shown
from recorder.shipping.transport import HttpTransport, Transport
from recorder.shipping.verdicts import Answer, judge

__all__ = ["PAUSES", "HttpProfiles", "TryLater", "settle"]

PAUSES = (10.0, 60.0, 600.0)
"""Seconds before profiles are read again whose reading was too old."""

_PATH = "/api/query/engage"
_TIMEOUT = (5, 60)
_TOO_MANY = 429
_OK = 200
_AN_HOUR = 3_600.0


class TryLater(ShippingError):
    """The service answers no query now.

    Attributes:
        seconds: How long it asks to wait.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the service answers no more queries for {seconds:,.0f} s", hint="Run it again then."
        )
        self.seconds = seconds


class HttpProfiles:
    """The profiles of a project.

    Args:
        base: Where updates go, such as ``https://api.mixpanel.com``.
        credentials: User and secret of a service account that may read profiles; never written down. None to write
            only.
        project: The project's id.
        query_base: Where queries go; None for the one that belongs to `base`.
        transport: Sends the updates; None for one of its own.

    >>> HttpProfiles("https://api-eu.mixpanel.com", ("user", "secret"), "123").query_base
    'https://eu.mixpanel.com'
    """

    def __init__(
        self,
        base: str,
        credentials: tuple[str, str] | None = None,
        project: str = "",
        *,
        query_base: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.query_base = query_base_of(base_of(base, "")) if query_base is None else base_of(query_base, "")
        self._transport = HttpTransport(url=base) if transport is None else transport
        self._credentials = credentials
        self._project = project

    def close(self) -> None:
        """Close pooled connections."""
        self._transport.close()

    def write(self, body: bytes) -> bool:
        """Send updates; see `recorder.journal.readback.Profiles.write`."""
        return judge(self._transport.send(Lane.PEOPLE, body)).outcome is AttemptOutcome.SHIPPED

    def read(self, ids: Sequence[str], properties: Sequence[str]) -> Mapping[str, Mapping[str, Any] | None]:
        """Return these properties of profiles by id.

        Raises:
            TryLater: The limit of queries is reached.
            ShippingError: It was not answered, or refused.
        """
        asked = {"distinct_ids": json.dumps(ids), "output_properties": json.dumps(properties)}
        shown: dict[str, Mapping[str, Any] | None] = {}
        page, session = 0, dict[str, str]()
        while True:
            answer = self._page({**asked, **session, "page": str(page)})
            try:
                results = dict(map(as_shown, answer["results"]))
                over = results.keys() <= shown.keys() or len(results) < answer.get("page_size", 0)
                shown |= results
                if over:
                    return shown
                page, session = page + 1, {"session_id": str(answer["session_id"])}
            except (LookupError, TypeError) as error:
                raise ShippingError(
                    f"{self.query_base}{_PATH} answers something else than profiles"
                ) from error

    def _page(self, form: Mapping[str, str]) -> dict[str, Any]:
        url = self.query_base + _PATH
        try:
            response = requests.post(
                url,
                params={"project_id": self._project} if self._project else None,
                data=form,
                auth=self._credentials,
                timeout=_TIMEOUT,
                allow_redirects=False,
                proxies={"no_proxy": "*"} if is_loopback(url) else None,
            )
            if response.status_code == _OK:
                answer: dict[str, Any] = response.json()
                return answer
        except (requests.RequestException, ValueError) as error:
            raise ShippingError(f"no profiles were read from {url}: {type(error).__name__}") from error
        if response.status_code == _TOO_MANY:
            headers = {name.lower(): value for name, value in response.headers.items()}
            told = judge(Answer(left=True, url=url, status=_TOO_MANY, headers=headers))
            raise TryLater(told.retry_after or _AN_HOUR)
        raise ShippingError(
            f"{url} answers {response.status_code}",
            hint="RESTANTE_QUERY_CREDENTIALS=user:secret:project_id must be a service account of the project.",
        )


def settle(journal: Journal, profiles: Profiles, wait: Callable[[int, float], bool]) -> Readback:
    """Call `Journal.settle` until no reading is too old, or it was repeated often enough.

    Args:
        journal: The journal.
        profiles: Writes and reads profiles at the service.
        wait: Called before profiles are read again, with how many may be shown as before their request (0: the limit
            of queries is reached), and the seconds to wait; returns False to end instead.

    Raises:
        ShippingError: The profiles cannot be read.
    """
    done, pauses = Readback(), list(PAUSES)
    while True:
        try:
            step = journal.settle(profiles)
        except TryLater as error:
            if not wait(0, error.seconds):
                return done
            continue
        done = done.then(step)
        if not (step.waiting and pauses and wait(step.waiting, pauses.pop(0))):
            return done
