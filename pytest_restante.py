"""The pytest plugin: fixtures for apps that record with restante, and a diff for profiles.

pytest imports this file at each start, so it imports nothing of restante before a test asks for it; that is
also why it is no room of `simulator.testing`, whose package would be loaded with it.

    restante_simulator        a `Simulator`
    restante_recorder         a `Recorder` over a journal of its own; ships to `restante_service` where the test
                              asks for that too, and otherwise nowhere
    restante_service          the local service, running

For tests that make several, or one for each of Hypothesis's examples, there is a factory for each:

    restante_new_simulator, restante_new_recorder, restante_new_service

Nothing is used unless a test asks for it by name.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from recorder import Recorder
    from simulator import Simulator
    from simulator.service.server import Service

_TOKEN = "TEST"  # noqa: S105  # the tokens of projects are public identifiers
_NOWHERE = "http://127.0.0.1:9"  # the discard port, where nothing answers: a test ships to no real service


@pytest.fixture(scope="session")
def restante_new_simulator() -> "Callable[..., Simulator]":
    """Makes simulators; takes what `Simulator` takes."""
    from simulator import Simulator

    return Simulator


@pytest.fixture
def restante_simulator(restante_new_simulator: "Callable[..., Simulator]") -> "Simulator":
    """A simulator that holds nothing yet."""
    return restante_new_simulator()


@pytest.fixture(scope="session")
def restante_new_recorder(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Callable[..., Recorder]]":
    """Makes recorders, each over a journal of its own; takes what `Recorder` takes, all of it optional.

    Use each in a ``with`` block, or close it; those left open are closed at the end of the session.
    """
    from recorder import Recorder

    made: list[Recorder] = []
    numbers = count(1)
    folder = tmp_path_factory.mktemp("restante")

    def new(token: str = _TOKEN, **options: Any) -> Recorder:
        journal = options.pop("journal", folder / f"{next(numbers)}.db")
        recorder = Recorder(token, journal, **{"url": _NOWHERE, **options})
        made.append(recorder)
        return recorder

    yield new
    for recorder in made:
        recorder.close()


@pytest.fixture
def restante_recorder(
    request: pytest.FixtureRequest, restante_new_recorder: "Callable[..., Recorder]"
) -> "Iterator[Recorder]":
    """A recorder over a journal of its own, which ships when it is told to."""
    asked = "restante_service" in request.fixturenames
    url = request.getfixturevalue("restante_service").url if asked else _NOWHERE
    with restante_new_recorder(url=url) as recorder:
        yield recorder


@pytest.fixture(scope="session")
def restante_new_service() -> "Callable[..., Service]":
    """Makes local services; takes what `simulator.service.server.Service` takes. Use each in a ``with`` block."""
    try:
        from simulator.service.server import Service
    except ImportError as missing:
        pytest.skip(str(missing))
    return Service


@pytest.fixture
def restante_service(restante_new_service: "Callable[..., Service]") -> "Iterator[Service]":
    """The local service, running."""
    with restante_new_service() as service:
        yield service


def pytest_assertrepr_compare(op: str, left: Any, right: Any) -> list[str] | None:
    """What differs between profiles that are compared with ``==``, property by property."""
    room = sys.modules.get("simulator.profile")
    if op != "==" or room is None or not (isinstance(left, Mapping) and isinstance(right, Mapping)):
        return None
    if any(isinstance(side, room.Profile) for side in (left, right)):
        lines = _seen(right, left)
    elif any(isinstance(one, room.Profile) for side in (left, right) for one in side.values()):
        lines = []
        for whose in [*right, *(name for name in left if name not in right)]:
            if told := _seen(right.get(whose), left.get(whose)):
                lines += [f"profile {whose!r}", *(f"  {line}" for line in told)]
    else:
        return None
    shown = [text if len(text) <= 200 else text[:200] + "…" for text in (repr(left), repr(right))]  # noqa: PLR2004
    return [" == ".join(shown), "from the right side to the left side:", *(f"  {line}" for line in lines)]


def _seen(before: Any, after: Any) -> list[str]:
    """What differs for Python's ``==``, which is what failed: 1 and 1.0 do not."""
    from simulator import ABSENT, describe, difference

    changes = difference(before, after)
    seen = [one for one in changes if ABSENT in (one.before, one.after) or one.before != one.after]
    return describe(seen).splitlines()
