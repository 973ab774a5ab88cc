"""An implementation that is a service: `/engage` as SDKs send to it, and the query API to read profiles back."""

import json
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlencode

from recorder.model.addresses import base_of
from recorder.model.errors import InvalidOperation
from recorder.model.json_value import compact
from recorder.model.operations import Identity, identity_of
from recorder.model.semantics import Properties
from simulator.conformance.implementation import ImplementationFailed, Skipped, read_object
from simulator.conformance.vectors import Profiles
from simulator.connection import TRUSTED, basic, post

__all__ = ["Remote"]

_ANSWERED = {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}  # the second for a malformed update
_QUERY = "/api/query/engage"


class Remote:
    """A service that takes ``POST /engage`` and answers ``POST /api/query/engage``.

    For each case it deletes the profiles that the case names, and sets those that are given. Groups are skipped: the
    query API identifies them by numbers of the project's own.

    Args:
        url: The service's base address. It gets profiles of made-up users.
        token: The project's token.
        timeout: Seconds for each answer.

    Raises:
        ShippingError: The address is none.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 10.0) -> None:
        self._base = base_of(url, "")
        self._token = token
        self._timeout = timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: no connection stays open."""

    def run(self, given: Mapping[str, Properties], messages: list[Any]) -> Profiles:
        """Return what the messages make of the given users' profiles.

        Raises:
            Skipped: A message names a group.
            ImplementationFailed: The service cannot be asked, or its answer cannot be read.
        """
        ids = dict.fromkeys(given)
        for message in messages:
            if message.keys() & {"$group_key", "$group_id"}:
                raise Skipped("the query API cannot be asked for groups by key and id")
            with suppress(InvalidOperation):
                ids[identity_of(message).id] = None
        self._update([{"$distinct_id": id_, "$delete": ""} for id_ in ids])
        self._update([{"$distinct_id": id_, "$set": properties} for id_, properties in given.items()])
        for message in messages:
            self._update([message])
        return self._profiles(list(ids))

    def _update(self, messages: list[Any]) -> None:
        if messages:
            body = compact([{**message, "$token": self._token} for message in messages])
            self._post("/engage?verbose=1", body, "application/json")

    def _profiles(self, ids: list[str]) -> Profiles:
        form = urlencode({"distinct_ids": json.dumps(ids), "token": self._token})
        text = self._post(_QUERY, form, "application/x-www-form-urlencoded")
        try:
            results = read_object(text)["results"]
            found = {one["$distinct_id"]: one["$properties"] for one in results}
        except (ValueError, KeyError, TypeError) as error:
            raise self._failed(f"its answer for {_QUERY} is not the query API's ({error})") from error
        return {Identity(None, id_): found[id_] for id_ in ids if id_ in found}

    def _post(self, path: str, body: str, kind: str) -> bytes:
        # The query API wants credentials; the local service takes a project's token for some.
        headers = {"Content-Type": kind, "Authorization": basic(self._token, "")}
        try:
            answer = post(self._base, path, body, headers, self._timeout)
        except OSError as error:
            raise self._failed(f"it cannot be asked: {error or type(error).__name__}") from error
        if answer.status not in _ANSWERED:
            raise self._failed(f"it answers {answer.status} for {path}")
        return answer.text

    def _failed(self, reason: str) -> ImplementationFailed:
        return ImplementationFailed(
            f"the service at {self._base} failed: {reason}",
            hint=f"Is it running, and is --url its address? Over HTTPS, {TRUSTED} names the file of its authority.",
        )
