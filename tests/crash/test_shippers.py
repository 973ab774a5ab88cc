"""Recorders and shippers killed with SIGKILL at each step between claim and settle, and at random moments.

What was acknowledged is there, what may have been applied twice is known, and order is kept; see rounds.py for
how a process is caught at a step from outside, and books.py for what is held against what.
"""

from collections import Counter

import pytest

from tests.crash import trace
from tests.crash.rounds import STEPS, plan, play
from tests.profiles import sampled

traceable = pytest.mark.skipif(bool(trace.why_not()), reason=trace.why_not())


def kill_in(seeds, *, traced):
    """Rounds of these seeds; how often each step was tried, and how often a process came so far."""
    reached, tried, compared = Counter(), Counter(), 0
    for seed, steps in plan(seeds, traced=traced):
        played = play(seed, steps)
        tried.update(steps)
        reached.update(played.reached)
        compared += played.compared
    print(
        f"{len(seeds)} rounds, {compared} profiles compared;",
        {step: f"{reached[step]} of {tried[step]}" for step in tried},
    )
    assert compared > 0
    return tried, reached


STEPS_OF_SHIPPING = [step for step in STEPS if not step.startswith("call")]
CALLS = [step for step in STEPS if step.startswith("call")]


def comes_so_far(step):
    """Play rounds until one comes so far: on a busy machine the first may not."""
    first = list(STEPS).index(step)
    return any(play(seed, [step]).reached for seed in range(first, first + 10))


@pytest.mark.parametrize("step", sampled(STEPS_OF_SHIPPING, 5))
def test_kill_at_step(step):
    assert comes_so_far(step)


@traceable
@pytest.mark.parametrize("step", sampled(CALLS, 6))
def test_kill_at_system_call(step):
    assert comes_so_far(step)


# Together: 500 rounds.


@pytest.mark.long
@pytest.mark.parametrize("part", range(5))
def test_sixty_kills_at_steps(part):
    tried, reached = kill_in(range(1_000 + part * 60, 1_060 + part * 60), traced=False)
    assert set(tried) == set(STEPS_OF_SHIPPING)
    assert all(reached[step] for step in tried), reached


@traceable
@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_twenty_kills_at_system_calls(part):
    tried, reached = kill_in(range(2_000 + part * 20, 2_020 + part * 20), traced=True)
    assert sum(reached.values()) > sum(tried.values()) / 2, reached
