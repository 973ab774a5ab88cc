"""The query API of the local service: profiles by id, in pages.

Source: the service's reference, page "Query Profiles", of August 2026. Its expressions, cohorts and behaviours are
refused: the local service cannot evaluate them.
"""

import json
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from itertools import cycle
from threading import Lock
from typing import Any

from simulator.service.ingestion import Inbox

__all__ = ["Queries", "Refused", "TooMany"]

_PAGE_SIZE = 1_000
_HOUR = 3_600
_MOST_SESSIONS = 5  # as many queries may run at once, by the reference
_UNSUPPORTED = ("where", "selector", "filter_by_cohort", "behaviors")  # mixpanel-utils sends a selector, too


class Refused(ValueError):
    """A query has a parameter that is malformed or not supported."""


class TooMany(Exception):
    """More queries in an hour than are answered.

    Attributes:
        retry_after: Seconds until the next one is.
    """

    def __init__(self, most: int, retry_after: float) -> None:
        super().__init__(f"more than {most} queries in an hour")
        self.retry_after = retry_after


class Queries:
    """Answers queries about the profiles of an inbox. Thread-safe.

    The pages of a query show one moment: its results are kept for its session, those of the five sessions asked last.

    Args:
        inbox: Where the profiles are.
        an_hour: Queries answered in an hour; None for no limit. The service's own is 60.
        clock: Returns the seconds since the epoch.
        read_lags: Ages in seconds of what queries show, which take turns; a session keeps its own.
        hidden: Names of properties that no query shows; ``*`` stands for any text.
        merged: Users' ids and the id that each was merged into: asked for one, a query shows the other.

    >>> Queries(Inbox()).answer({"distinct_id": "ada"})["total"]
    0
    """

    def __init__(
        self,
        inbox: Inbox,
        an_hour: int | None = None,
        clock: Callable[[], float] = time.time,
        *,
        read_lags: Iterable[float] = (0.0,),
        hidden: Iterable[str] = (),
        merged: Mapping[str, str] | None = None,
    ) -> None:
        self._inbox = inbox
        self._an_hour = an_hour
        self._clock = clock
        self._read_lags = cycle(read_lags)
        self._hidden = tuple(hidden)
        self._merged = dict(merged or {})
        self._lock = Lock()
        self._asked: deque[float] = deque()
        self._sessions: OrderedDict[str, list[Any]] = OrderedDict()
        self._numbers = 0

    def answer(self, options: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer to a query with these parameters.

        Raises:
            Refused: A parameter is malformed or not supported.
            TooMany: The limit is reached.
        """
        with self._lock:
            self._count()
        for name in _UNSUPPORTED:
            if options.get(name):
                raise Refused(f"the local service cannot evaluate {name}")
        page = _number(options.get("page") or "0")
        session, results = self._session(options, page)
        return {
            "page": page,
            "page_size": _PAGE_SIZE,
            "results": results[page * _PAGE_SIZE :][:_PAGE_SIZE],
            "session_id": session,
            "status": "ok",
            "total": len(results),
        }

    def _count(self) -> None:
        if self._an_hour is None:
            return
        now = self._clock()
        while self._asked and self._asked[0] <= now - _HOUR:
            self._asked.popleft()
        if len(self._asked) >= self._an_hour:
            raise TooMany(self._an_hour, (self._asked or [now])[0] + _HOUR - now)
        self._asked.append(now)

    def _session(self, options: Mapping[str, str], page: int) -> tuple[str, list[Any]]:
        asked = options.get("session_id", "")
        with self._lock:
            if asked in self._sessions:
                self._sessions.move_to_end(asked)
                return asked, self._sessions[asked]
        if page:
            raise Refused(
                f"page above 0 needs the session_id of the query's first answer, one of the {_MOST_SESSIONS} asked last"
            )
        results = self._results(options)
        with self._lock:
            self._numbers += 1
            session = f"{self._numbers}-LOCAL"
            self._sessions[session] = results
            if len(self._sessions) > _MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return session, results

    def _results(self, options: Mapping[str, str]) -> list[dict[str, Any]]:
        token = options.get("token")
        ids = _names(options, "distinct_ids")
        if id_ := options.get("distinct_id"):
            ids = [id_, *(ids or ())]
        with self._lock:
            age = next(self._read_lags)
        if key := options.get("data_group_id"):
            profiles = self._inbox.groups(token, age).get(key, {})
        else:
            profiles = self._inbox.profiles(token, age)
            ids = ids and [self._merged.get(id_, id_) for id_ in ids]
        if ids is not None:
            profiles = {id_: profiles[id_] for id_ in dict.fromkeys(ids) if id_ in profiles}
        shown = _names(options, "output_properties")
        if shown is not None:
            profiles = {
                id_: {name: profile[name] for name in shown if name in profile}
                for id_, profile in profiles.items()
            }
        return [
            {"$distinct_id": id_, "$properties": self._visible(profile)} for id_, profile in profiles.items()
        ]

    def _visible(self, profile: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value
            for name, value in profile.items()
            if not any(fnmatchcase(name, pattern) for pattern in self._hidden)
        }


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise Refused("page must be a number from 0")
    return int(text)


def _names(options: Mapping[str, str], option: str) -> list[str] | None:
    if not options.get(option):
        return None
    try:
        value = json.loads(options[option])
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise Refused(f'{option} must be a JSON list of texts, such as ["a", "b"]')
    return value
