"""A project of the service, for whoever sends to it and reads its profiles back by the query API."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from recorder.model.errors import RestanteError
from recorder.model.json_value import compact
from simulator.connection import TRUSTED, Answer, basic, post

__all__ = ["Project", "ProjectFailed"]

_QUERY = "/api/query/engage"
_HINTS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "Are user and secret those of a service account of this project?",
    HTTPStatus.FORBIDDEN: "Is the service account one of this project, and may it read profiles?",
    HTTPStatus.TOO_MANY_REQUESTS: "The real service answers 60 queries an hour and project.",
}


class ProjectFailed(RestanteError):
    """The service cannot be asked, or refuses to answer."""

    hint = "Are these the addresses of the service and of its query API, and is the token one of the project?"


class Project:
    """A project to send to and to read from. Nothing is repeated.

    Args:
        url: Base address of what takes updates and events.
        query_url: Base address of the query API.
        id_: The project's number.
        token: The project's token.
        account: Name and secret of a service account.
        timeout: Seconds for each answer.
    """

    def __init__(
        self,
        url: str,
        query_url: str,
        id_: int,
        token: str,
        account: tuple[str, str],
        *,
        timeout: float = 30.0,
    ) -> None:
        self.url = url
        self.query_url = query_url
        self.id = id_
        self.token = token
        self._account = account
        self._timeout = timeout

    def send(self, target: str, messages: list[Any], *, user: str | None = None) -> Answer:
        """Post messages as JSON, and return the answer, whatever it is.

        Args:
            target: The path with its query, such as ``/engage?verbose=1``.
            messages: As they are sent, with their tokens.
            user: A user name for HTTP Basic, without a password; None for none.

        Raises:
            ProjectFailed: There is no answer.
        """
        headers = {"Content-Type": "application/json"}
        if user is not None:
            headers["Authorization"] = basic(user, "")
        return self._post(self.url, target, compact(messages), headers)

    def update(self, *messages: dict[str, Any]) -> str | None:
        """Send updates of users' profiles; return the service's error text, None if it took one or more.

        Raises:
            ProjectFailed: The service answers something else than 200, or not at all.
        """
        updates = [{"$token": self.token, **message} for message in messages]
        answer = self.send("/engage?verbose=1&ip=0", updates)
        self._check(answer, self.url, "/engage")
        said = json_of(answer)
        if not isinstance(said, dict) or said.get("status") not in {0, 1}:
            raise ProjectFailed(f"{self.url} answers something else than the service would for /engage")
        return None if said["status"] else str(said.get("error") or "status 0")

    def read(self, id_: str) -> Mapping[str, Any] | None:
        """Return the properties of a user's profile as a query shows them now; None if it shows none.

        Raises:
            ProjectFailed: The service refuses the query, or its answer cannot be read.
        """
        form = urlencode({"distinct_ids": json.dumps([id_])})
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": basic(*self._account),
        }
        answer = self._post(self.query_url, f"{_QUERY}?project_id={self.id}", form, headers)
        self._check(answer, self.query_url, _QUERY)
        try:
            return next(
                (
                    dict(one["$properties"])
                    for one in json_of(answer)["results"]
                    if one["$distinct_id"] == id_
                ),
                None,
            )
        except (KeyError, TypeError, ValueError):
            raise ProjectFailed(f"{self.query_url} does not answer queries as the service does") from None

    def _post(self, base: str, target: str, body: str, headers: Mapping[str, str]) -> Answer:
        try:
            return post(base, target, body, headers, self._timeout)
        except OSError as error:
            raise ProjectFailed(
                f"{base} cannot be asked: {error or type(error).__name__}",
                hint=f"Is the address right? Over HTTPS, {TRUSTED} names the file of other authorities.",
            ) from error

    def _check(self, answer: Answer, base: str, path: str) -> None:
        if answer.status == HTTPStatus.OK:
            return
        after = f"; it wants {answer.retry_after} s of rest" if answer.retry_after else ""
        raise ProjectFailed(
            f"{base} answers {answer.status} for {path}{after}",
            hint=_HINTS.get(answer.status) if path == _QUERY else None,
        )


def json_of(answer: Answer) -> Any:
    """Return the answer's body as JSON; None if it is none."""
    try:
        return json.loads(answer.text)
    except (ValueError, RecursionError):
        return None
