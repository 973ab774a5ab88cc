"""What is made when it is first asked for: most programs that record never ship, decide or look."""

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ["OnFirstUse"]

Made = TypeVar("Made")


class OnFirstUse(Generic[Made]):
    """An attribute that is made by a method when it is first asked for, and is the same for all threads from then on.

    Unlike `functools.cached_property` it holds no lock that a forked child could find locked, and threads that ask at
    once get the same: each may make one, and the first to be put in place stays.
    """

    def __init__(self, make: Callable[[Any], Made]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Made: ...

    def __get__(self, instance: object, owner: type) -> Self | Made:
        if instance is None:
            return self
        made: Made = vars(instance).setdefault(self._name, self._make(instance))
        return made

    def made(self, instance: object) -> Made | None:
        """The attribute where it was asked for before; None where it was not."""
        found: Made | None = vars(instance).get(self._name)
        return found
