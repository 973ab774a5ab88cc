"""Vectors: messages, and the profiles that they must make, as published in `vectors.json`."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import Any, Self

from recorder.model.dialect import Dialect
from recorder.model.operations import Identity
from recorder.model.semantics import Properties
from simulator.simulator import Simulator

__all__ = ["Profiles", "Vector", "predict", "read_vectors", "users_and_groups"]

Profiles = dict[Identity, Properties]
"""Properties by profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """Messages, and what they make of given profiles. `schema.json` describes the same as JSON.

    Attributes:
        id: Unique among all vectors.
        about: The rule, in a few words.
        source: ``documented`` by the service, by an ``sdk`` or a ``third-party``, or our ``policy``.
        given: Users' profiles before, id to properties.
        messages: Update messages in order, as JSON values; some are malformed.
        expect: Users' profiles afterwards.
        expect_groups: Groups' profiles afterwards: key to id to properties.
        verdicts: The simulator's verdicts, a list for each message.
        dialect: Fields of `Dialect` that decide about the result.
    """

    id: str
    about: str
    source: str
    given: Mapping[str, Properties]
    messages: list[Any]
    expect: Mapping[str, Properties]
    expect_groups: Mapping[str, Mapping[str, Properties]]
    verdicts: list[list[str]]
    dialect: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, given: Mapping[str, Properties], messages: list[Any], *, id: str, about: str, source: str
    ) -> Self:
        """Return a vector that expects what the simulator makes."""
        profiles, verdicts = predict(given, messages)
        users, groups = users_and_groups(profiles)
        return cls(
            id=id,
            about=about,
            source=source,
            given=given,
            messages=messages,
            expect=users,
            expect_groups=groups,
            verdicts=verdicts,
        )

    @property
    def expected(self) -> Profiles:
        """Users' and groups' profiles afterwards."""
        keyed = [(None, self.expect), *self.expect_groups.items()]
        return {Identity(key, id_): dict(one) for key, profiles in keyed for id_, one in profiles.items()}

    def as_json(self) -> dict[str, Any]:
        """Return it as in `vectors.json`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        dialect = list(values.pop("dialect"))
        return {**values, "dialect": dialect} if dialect else values


def read_vectors() -> list[Vector]:
    """Return the published vectors.

    >>> next(vector.about for vector in read_vectors() if vector.id == "remove-is-not-unset")
    'remove leaves [] where unset leaves nothing'
    """
    published = json.loads(files(__package__).joinpath("vectors.json").read_text(encoding="utf-8"))
    return [Vector(**{**one, "dialect": tuple(one.get("dialect", ()))}) for one in published["vectors"]]


def predict(
    given: Mapping[str, Properties], messages: Iterable[Any], dialect: Dialect | None = None
) -> tuple[Profiles, list[list[str]]]:
    """Return the profiles that the simulator makes, and its verdicts.

    >>> predict({"ada": {"n": 1}}, [{"$distinct_id": "ada", "$add": {"n": 1}}])
    ({Identity(group_key=None, id='ada'): {'n': 2}}, [['applied']])
    """
    simulator = Simulator(dialect, history=False)
    for id_, properties in given.items():
        simulator.apply({"$distinct_id": id_, "$set": properties})
    verdicts = [[outcome.verdict.value for outcome in simulator.apply(message)] for message in messages]
    users = {Identity(None, id_): dict(profile) for id_, profile in simulator.profiles.items()}
    groups = {Identity(*whose): dict(profile) for whose, profile in simulator.groups.items()}
    return {**users, **groups}, verdicts


def users_and_groups(profiles: Profiles) -> tuple[dict[str, Properties], dict[str, dict[str, Properties]]]:
    """Return profiles as vectors have them: users' by id, and groups' by key and id."""
    users: dict[str, Properties] = {}
    groups: dict[str, dict[str, Properties]] = {}
    for (key, id_), properties in profiles.items():
        (users if key is None else groups.setdefault(key, {}))[id_] = properties
    return users, groups
