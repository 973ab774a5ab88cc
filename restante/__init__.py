"""All public names of `recorder`, and the main ones of `simulator`, under one import.

>>> from restante import Simulator
>>> simulator = Simulator()
>>> simulator.people_set("ada", {"plan": "pro"})
>>> dict(simulator.profile("ada"))
{'plan': 'pro'}
"""

from typing import TYPE_CHECKING

import recorder
from recorder import __version__ as __version__

__all__ = ["Dialect", "Profile", "Simulator", "compare"]
__all__ += recorder.__all__

if TYPE_CHECKING:
    from recorder import *  # type checkers take the names in its __all__
    from simulator import Dialect, Profile, Simulator, compare
else:  # hidden from type checkers, which report a misspelt name only where no __getattr__ could have it

    def __getattr__(name: str) -> object:
        """Import a public name on first use (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name in recorder.__all__:
            return getattr(recorder, name)
        import simulator

        return getattr(simulator, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
