"""pytest plugin: fixtures for apps that record with restante, and differences between profiles.

pytest imports this file at each start, so it imports nothing of restante before a test asks for a fixture. It is not in
`simulator.testing`, as that would import the package.

    restante_simulator        a `Simulator`
    restante_recorder         a `Recorder` with a new journal; ships to `restante_service` if the test uses that, too,
                              and otherwise nowhere
    restante_service          the local service, running

Factories make several of them, such as one for each of Hypothesis's examples:

    restante_new_simulator, restante_new_recorder, restante_new_service
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from recorder import Recorder
    from simulator import Simulator
    from simulator.service import Service

_TOKEN = "TEST"  # noqa: S105  # the tokens of projects are public identifiers
_NOWHERE = "http://127.0.0.1:9"  # the discard port, where nothing answers: tests never reach a real service

_MOST = 200  # characters shown of a profile


@pytest.fixture(scope="session")
def restante_new_simulator() -> "Callable[..., Simulator]":
    """Make simulators; takes the arguments of `Simulator`."""
    from simulator import Simulator

    return Simulator


@pytest.fixture
def restante_simulator(restante_new_simulator: "Callable[..., Simulator]") -> "Simulator":
    """A new simulator."""
    return restante_new_simulator()


@pytest.fixture(scope="session")
def restante_new_recorder(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Callable[..., Recorder]]":
    """Make recorders, each with a new journal; takes the arguments of `Recorder`, all of them optional.

    Use each in a ``with`` block or close it; open ones are closed at the end of the session.
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

    with (
        new() as first
    ):  # loads what recorders load on first use, or Hypothesis's first example exceeds its deadline
        first.people_set("ada", {})
        first.flush()
    yield new
    for recorder in made:
        recorder.close()


@pytest.fixture
def restante_recorder(
    request: pytest.FixtureRequest, restante_new_recorder: "Callable[..., Recorder]"
) -> "Iterator[Recorder]":
    """A recorder with a new journal; it ships on ``flush()``."""
    asked = "restante_service" in request.fixturenames
    url = request.getfixturevalue("restante_service").url if asked else _NOWHERE
    with restante_new_recorder(url=url) as recorder:
        yield recorder


@pytest.fixture(scope="session")
def restante_new_service() -> "Callable[..., Service]":
    """Make local services; takes the arguments of `simulator.service.Service`. Use each in a ``with`` block."""
    try:
        from simulator.service import Service
    except ImportError as missing:
        pytest.skip(str(missing))
    return Service


@pytest.fixture
def restante_service(restante_new_service: "Callable[..., Service]") -> "Iterator[Service]":
    """The local service, running."""
    with restante_new_service() as service:
        yield service


def pytest_assertrepr_compare(op: str, left: Any, right: Any) -> list[str] | None:
    """Explain a failed ``==`` between profiles, property by property."""
    module = sys.modules.get("simulator.profile")
    if op != "==" or module is None or not (isinstance(left, Mapping) and isinstance(right, Mapping)):
        return None
    if any(isinstance(side, module.Profile) for side in (left, right)):
        lines = _differences(right, left)
    elif any(isinstance(one, module.Profile) for side in (left, right) for one in side.values()):
        lines = []
        for id_ in [*right, *(id_ for id_ in left if id_ not in right)]:
            if found := _differences(right.get(id_), left.get(id_)):
                lines += [f"profile {id_!r}", *(f"  {line}" for line in found)]
    else:
        return None
    shown = [text if len(text) <= _MOST else text[:_MOST] + "…" for text in (repr(left), repr(right))]
    return [" == ".join(shown), "from the right side to the left side:", *(f"  {line}" for line in lines)]


def _differences(before: Any, after: Any) -> list[str]:
    """Return the differences by Python's ``==``, which failed: 1 and 1.0 do not differ."""
    from simulator import ABSENT, describe, difference

    changes = difference(before, after)
    shown = [one for one in changes if ABSENT in (one.before, one.after) or one.before != one.after]
    return describe(shown).splitlines()
