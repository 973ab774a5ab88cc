"""`machine`: a state machine that compares an implementation of the operations with the simulator."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import note, settings
from hypothesis.stateful import RuleBasedStateMachine, rule
from hypothesis.strategies import SearchStrategy

from recorder.model.dialect import Dialect
from recorder.model.json_value import same_spelling
from recorder.model.normalise import Message
from simulator.difference import difference
from simulator.simulator import Simulator
from simulator.testing.assertions import differing
from simulator.testing.law import Implementation, groups_of, profiles_of
from simulator.testing.replay import to_test
from simulator.testing.strategies import histories

__all__ = ["machine"]

__tracebackhide__ = __unittest = True

_STEPS = 8  # of a run; longer runs find little more
_EXAMPLES = 300
_MESSAGES = 8


def machine(
    *,
    make: Callable[[], Implementation],
    messages: SearchStrategy[Message] | None = None,
    dialect: Dialect | None = None,
) -> type[RuleBasedStateMachine]:
    """Return a Hypothesis state machine: an implementation and a simulator take the same messages and must agree.

    They are compared after every few messages, so that a queue that sends when its profiles are read has something to
    reorder, fold or lose. A failure is shown as steps, and as the text of a test.

    Args:
        make: Makes an empty implementation: an object with ``apply(message)`` and ``profiles``. Its ``close()``, if it
            has one, is called at the end.
        messages: A strategy; by default valid messages of users, one operator each. With messages of groups,
            ``groups`` are compared, too.
        dialect: The policies of the simulator.

    >>> from restante import Simulator
    >>> TestSimulator = machine(make=Simulator).TestCase  # pytest and unittest collect it
    >>> TestSimulator().runTest()
    """
    some = histories(messages=messages, min_size=1, max_size=_MESSAGES)
    # One rule for both: Hypothesis leaves one of two out in many runs, and shortens runs to where a rule fails.
    members = {
        "make": staticmethod(make),
        "dialect": dialect,
        "apply_and_look": rule(several=some)(_Compared.apply_and_look),
    }
    made: type[RuleBasedStateMachine] = type("ImplementationMachine", (_Compared,), members)
    made.TestCase.settings = settings(stateful_step_count=_STEPS, max_examples=_EXAMPLES, deadline=None)
    return made


class _Compared(RuleBasedStateMachine):
    """An implementation compared with the simulator."""

    make: Callable[[], Implementation]
    dialect: Dialect | None

    def __init__(self) -> None:
        super().__init__()
        self.implementation: Any = self.make()
        self.simulator = Simulator(self.dialect)
        self.history: list[Message] = []

    def apply_and_look(self, several: list[Message]) -> None:
        for message in several:
            self.history.append(deepcopy(message))
            self.simulator.apply(message)
            self.implementation.apply(message)
        expected = _all_profiles(self.simulator)
        found = _all_profiles(self.implementation, with_groups=bool(self.simulator.groups))
        if not same_spelling(found, expected):
            note(to_test(self.history, dialect=self.dialect))
            raise AssertionError(f"its profiles differ from the simulator's\n{_explanation(expected, found)}")

    def teardown(self) -> None:
        close = getattr(self.implementation, "close", None)
        if close is not None:
            close()


def _all_profiles(implementation: Any, *, with_groups: bool = True) -> dict[Any, dict[str, Any]]:
    """Return users' profiles by id, and groups' by group key and id."""
    return {**profiles_of(implementation), **(groups_of(implementation) if with_groups else {})}


def _explanation(expected: dict[Any, Any], found: dict[Any, Any]) -> str:
    lines = []
    for whose in sorted(expected.keys() | found.keys(), key=repr):
        if changes := difference(expected.get(whose), found.get(whose)):
            lines += [f"profile {whose!r}, from the simulator's to its own:", differing(changes)]
    return "\n".join(lines)
