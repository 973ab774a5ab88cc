"""`Profile`: a read-only mapping from property names to JSON values."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

from recorder.model.json_value import copy_json

__all__ = ["Profile"]


class Profile(Mapping[str, Any]):
    """A snapshot of one profile; later operations do not change it.

    Attributes:
        id: The profile's id.
        group_key: The group key of a group's profile, None for a user's.
        partly_known: True if an unknown operator was applied, so that the service may have more properties.

    >>> from restante import Simulator
    >>> simulator = Simulator()
    >>> simulator.people_track_charge("u1", 29.5, {"$time": "2026-01-02T03:04:05"})
    >>> profile = simulator.profile("u1")
    >>> profile.revenue, profile.transactions
    (29.5, ({'$time': '2026-01-02T03:04:05', '$amount': 29.5},))
    """

    __slots__ = ("_properties", "group_key", "id", "partly_known")

    def __init__(
        self,
        id: str,
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
    def owning(
        cls,
        id: str,
        properties: dict[str, Any],
        *,
        group_key: str | None,
        partly_known: bool,
    ) -> Self:
        """Return a profile of properties that are not changed elsewhere, which saves a copy."""
        profile = cls.__new__(cls)
        profile.id = id
        profile.group_key = group_key
        profile.partly_known = partly_known
        profile._properties = properties  # noqa: SLF001  # its own
        return profile

    def __getitem__(self, name: str) -> Any:
        """Return a property's value; a copy of a list or object."""
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
        """The charges, in order, which are the objects in ``$transactions``."""
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
