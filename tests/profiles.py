"""Extent of the tests: Hypothesis's profiles, and which cases of a long list the short suite runs."""

import pytest
from hypothesis import HealthCheck, settings

# A busy machine fails no test: no deadline, and no complaint about slow drawing.
settings.register_profile(
    "dev",
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# `make test` and `make test-all` try the same examples each time; plain pytest tries others.
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, max_examples=8)
settings.register_profile("long", settings.get_profile("ci"), max_examples=450, stateful_step_count=50)


def costly(times):
    """Return settings for a test whose examples cost so many times as much as most: so many times fewer."""
    return settings(max_examples=max(1, settings.default.max_examples // times))


def sampled(cases, every):
    """Return cases for `parametrize`: the short suite runs the first of so many, the long one also the others."""
    return [
        pytest.param(
            *(case if type(case) is tuple else [case]), marks=[pytest.mark.long] * (place % every > 0)
        )
        for place, case in enumerate(cases)
    ]
