"""For tests: strategies, laws, a state machine, assertions, and a failing history as the text of a test.

Assertions and `to_test` need the standard library only; what draws examples needs Hypothesis, which
``pip install 'restante[testing]'`` brings, and is loaded when first asked for.
"""

from typing import TYPE_CHECKING, Any

from simulator.testing.assertions import assert_absent, assert_nothing_rejected, assert_profile, unordered
from simulator.testing.operation import Operation
from simulator.testing.replay import to_test

if TYPE_CHECKING:
    from simulator.testing import laws, strategies
    from simulator.testing.machines import machine
    from simulator.testing.suite import law_suite

__all__ = [
    "Operation",
    "assert_absent",
    "assert_nothing_rejected",
    "assert_profile",
    "law_suite",
    "laws",
    "machine",
    "strategies",
    "to_test",
    "unordered",
]

_LATER = {
    "law_suite": "simulator.testing.suite",
    "laws": "simulator.testing.laws",
    "machine": "simulator.testing.machines",
    "strategies": "simulator.testing.strategies",
}


def __getattr__(name: str) -> Any:
    """What needs Hypothesis, when it is first asked for."""
    from importlib import import_module

    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        room = import_module(_LATER[name])
    except ModuleNotFoundError as missing:
        raise ImportError(
            f"simulator.testing.{name} needs {missing.name}: pip install 'restante[testing]'",
            name=missing.name,
        ) from missing
    found = room if _LATER[name] == f"{__name__}.{name}" else getattr(room, name)
    globals()[name] = found
    return found
