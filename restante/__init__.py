"""The public names of `recorder`, and the main ones of `simulator`, in one place.

>>> from restante import Simulator
>>> simulator = Simulator()
>>> simulator.people_set("ada", {"plan": "pro"})
>>> dict(simulator.profiles["ada"])
{'plan': 'pro'}
"""

from typing import TYPE_CHECKING

import recorder

if TYPE_CHECKING:
    from recorder import *  # noqa: F403  # exactly its __all__
    from simulator import Dialect, Profile, Simulator, compare

__version__ = "0.2.0.dev0"

_SIMULATOR = ("Dialect", "Profile", "Simulator", "compare")

__all__ = [*recorder.__all__, *_SIMULATOR]  # noqa: PLE0604  # both hold names


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    if name in _SIMULATOR:
        import simulator

        return getattr(simulator, name)
    if name in recorder.__all__:
        return getattr(recorder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
