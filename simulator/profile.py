"""A profile as the simulator holds it: a read-only mapping from property names to JSON values."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

from recorder.model.json_value import compact, copy_json

__all__ = ["Profile"]

# The limits the service documents for one profile; it may refuse what exceeds them, so they are named, not
# enforced.
_MOST_PROPERTIES = 2_000
_LONGEST_NAME = 255
_LARGEST_LIST = 256 * 1024
_DEEPEST = 3


class Profile(Mapping[str, Any]):
    """A snapshot of one profile; later operations do not change it.

    Attributes:
        id: The profile's id.
        group_key: The group key of a group's profile, None for a user's.
        partly_known: Whether an operator outside the vocabulary was applied, so that the service may hold
            more than is shown here.

    >>> from simulator import Simulator
    >>> simulator = Simulator()
    >>> simulator.people_track_charge("u1", 29.5, {"$time": "2026-01-02T03:04:05"})
    >>> profile = simulator.profile("u1")
    >>> profile.revenue, profile.transactions
    (29.5, ({'$time': '2026-01-02T03:04:05', '$amount': 29.5},))
    """

    __slots__ = ("_properties", "group_key", "id", "partly_known")

    def __init__(
        self,
        id: str,  # noqa: A002  # the service's own word
        properties: Mapping[str, Any],
        *,
        group_key: str | None = None,
        partly_known: bool = False,
    ) -> None:
        self.id = id
        self.group_key = group_key
        self.partly_known = partly_known
        self._properties = copy_json(dict(properties))

    @classmethod
    def _of(
        cls,
        id: str,  # noqa: A002
        properties: dict[str, Any],
        *,
        group_key: str | None,
        partly_known: bool,
    ) -> Self:
        """A profile of properties that nobody changes any more, which spares the copy."""
        profile = cls.__new__(cls)
        profile.id = id
        profile.group_key = group_key
        profile.partly_known = partly_known
        profile._properties = properties  # noqa: SLF001  # its own kind
        return profile

    def __getitem__(self, name: str) -> Any:
        """A property's value: a copy where it could be changed."""
        value = self._properties[name]
        return copy_json(value) if isinstance(value, (dict, list)) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._properties)

    def __len__(self) -> int:
        return len(self._properties)

    def __repr__(self) -> str:
        group = f", group_key={self.group_key!r}" if self.group_key is not None else ""
        return f"Profile({self.id!r}, {self._properties!r}{group})"

    @property
    def transactions(self) -> tuple[dict[str, Any], ...]:
        """The charges, in order: the objects in ``$transactions``."""
        charges = self._properties.get("$transactions")
        return (
            tuple(copy_json(charge) for charge in charges if isinstance(charge, dict))
            if isinstance(charges, list)
            else ()
        )

    @property
    def revenue(self) -> float:
        """The sum of the charges' amounts, in the currency they were charged in; refunds are negative."""
        amounts = (charge.get("$amount") for charge in self.transactions)
        return sum(
            amount for amount in amounts if isinstance(amount, int | float) and not isinstance(amount, bool)
        )

    def beyond_limits(self) -> list[str]:
        """What exceeds the sizes the service documents, one sentence each. They are not enforced here.

        >>> Profile("u1", {"a": {"b": {"c": {"d": {"e": 1}}}}}).beyond_limits()
        ['"a" nests 4 deep; the service documents 3']
        """
        found = []
        if len(self) > _MOST_PROPERTIES:
            found.append(f"{len(self):,} properties; the service documents {_MOST_PROPERTIES:,}")
        for name, value in self._properties.items():
            shown = f'"{name[:40]}"'
            if len(name) > _LONGEST_NAME:
                found.append(f"{shown} is {len(name)} characters long; the service documents {_LONGEST_NAME}")
            if isinstance(value, list) and (size := len(compact(value).encode())) > _LARGEST_LIST:
                found.append(f"{shown} is a list of {size:,} bytes; the service documents {_LARGEST_LIST:,}")
            if (depth := _depth(value)) > _DEEPEST:
                found.append(f"{shown} nests {depth} deep; the service documents {_DEEPEST}")
        return found


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0
