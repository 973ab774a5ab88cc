"""Recorders and shippers killed with SIGKILL at each step between claim and settle, and at random moments.

What was acknowledged is there, what may have been applied twice is known, and order is kept; see rounds.py for
how a process is caught at a step from outside, and books.py for what is held against what.
"""

from collections import Counter

import pytest

from tests.crash import trace
from tests.crash.rounds import STEPS, plan, play

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


@pytest.mark.parametrize("part", range(2))
def test_twenty_rounds_of_kills_between_claim_and_settle_lose_nothing_and_repeat_nothing_unknown(part):
    kill_in(range(part * 10, part * 10 + 10), traced=False)


@traceable
@pytest.mark.parametrize("part", range(2))
def test_ten_rounds_of_kills_at_system_calls_lose_nothing_and_repeat_nothing_unknown(part):
    kill_in(range(100 + part * 5, 105 + part * 5), traced=True)


# Together with those above: 500 rounds.


@pytest.mark.long
@pytest.mark.parametrize("part", range(7))
def test_280_more_rounds_of_kills(part):
    tried, reached = kill_in(range(1_000 + part * 40, 1_040 + part * 40), traced=False)
    assert set(tried) == {step for step in STEPS if not step.startswith("call")}
    assert all(reached[step] for step in tried), reached


@traceable
@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_190_more_rounds_of_kills_at_system_calls(part):
    tried, reached = kill_in(range(2_000 + part * 19, 2_019 + part * 19), traced=True)
    assert sum(reached.values()) > sum(tried.values()) / 2, reached
