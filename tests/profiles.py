"""Hypothesis's profiles: how many examples a property is tried with, and which."""

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
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.register_profile("long", settings.get_profile("ci"), max_examples=600, stateful_step_count=50)


def costly(times):
    """Return settings for a test whose examples cost so many times as much as most: so many times fewer."""
    return settings(max_examples=max(1, settings.default.max_examples // times))
