"""Profiles of the local service's projects, as the accepted updates make them."""

from collections.abc import Iterable, Mapping
from typing import Any

from recorder.model.dialect import Dialect
from simulator.simulator import Simulator

__all__ = ["Projects"]


class Projects:
    """A simulator for each project. Not thread-safe.

    Args:
        dialect: Policies for what the real service does not document.
        merged: Users' ids and the id that each was merged into: updates of both make one profile.

    >>> projects = Projects(Dialect(), {"visitor": "ada"})
    >>> projects.apply([("T", {"$distinct_id": "visitor", "$set": {"plan": "pro"}})])
    >>> projects.profiles()
    {'ada': {'plan': 'pro'}}
    """

    def __init__(self, dialect: Dialect, merged: Mapping[str, str]) -> None:
        self._dialect = dialect
        self._merged = merged
        self._simulators: dict[str, Simulator] = {}

    def apply(self, updates: Iterable[tuple[str, Any]]) -> None:
        """Apply valid updates, each with the token of its project."""
        for token, message in updates:
            if token not in self._simulators:
                self._simulators[token] = Simulator(self._dialect, history=False)
            into = self._merged.get(str(message.get("$distinct_id")))
            self._simulators[token].apply(message if into is None else {**message, "$distinct_id": into})

    def forget(self, token: str | None) -> None:
        """Forget one project or all."""
        if token is None:
            self._simulators.clear()
        else:
            self._simulators.pop(token, None)

    def profiles(self, token: str | None = None) -> dict[str, dict[str, Any]]:
        """Return users' profiles as `Service.profiles` does."""
        return {
            id_: dict(profile)
            for simulator in self._chosen(token)
            for id_, profile in simulator.profiles.items()
        }

    def groups(self, token: str | None = None) -> dict[str, dict[str, dict[str, Any]]]:
        """Return groups' profiles as `Service.groups` does."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for simulator in self._chosen(token):
            for (key, id_), profile in simulator.groups.items():
                found.setdefault(key, {})[id_] = dict(profile)
        return found

    def _chosen(self, token: str | None) -> list[Simulator]:
        return [one for project, one in self._simulators.items() if token is None or project == token]
