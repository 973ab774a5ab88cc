"""Test tools: assertions, strategies, laws, a state machine, and histories as the text of a test.

Assertions and `to_test` need the standard library only. The rest needs Hypothesis (``pip install
'restante[testing]'``), and is imported on first use.
"""

from typing import TYPE_CHECKING, Any

from simulator.testing.assertions import (
    assert_absent,
    assert_nothing_rejected,
    assert_profile,
    assert_within_limits,
    unordered,
)
from simulator.testing.law import Implementation
from simulator.testing.operation import Operation
from simulator.testing.replay import to_test

if TYPE_CHECKING:
    from simulator.testing import laws, strategies
    from simulator.testing.machines import machine
    from simulator.testing.suite import law_suite

__all__ = [
    "Implementation",
    "Operation",
    "assert_absent",
    "assert_nothing_rejected",
    "assert_profile",
    "assert_within_limits",
    "law_suite",
    "laws",
    "machine",
    "strategies",
    "to_test",
    "unordered",
]

_MODULES = {
    "law_suite": "simulator.testing.suite",
    "laws": "simulator.testing.laws",
    "machine": "simulator.testing.machines",
    "strategies": "simulator.testing.strategies",
}


def __getattr__(name: str) -> Any:
    """Import a name that needs Hypothesis on first use (PEP 562)."""
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(_MODULES[name])
    except ModuleNotFoundError as missing:
        raise ImportError(
            f"simulator.testing.{name} needs {missing.name}: pip install 'restante[testing]'",
            name=missing.name,
        ) from missing
    value = module if _MODULES[name] == f"{__name__}.{name}" else getattr(module, name)
    globals()[name] = value
    return value
