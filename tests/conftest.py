"""Hypothesis's profiles, and signals as a terminal gives them."""

import signal

from hypothesis import HealthCheck, settings

# A machine that is busy with other things fails no test: no deadlines, and no complaint about slow drawing.
settings.register_profile(
    "dev", max_examples=40, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
# `make test` and `make test-all` draw the same examples each time; plain pytest draws others.
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.register_profile("long", settings.get_profile("ci"), max_examples=500)
settings.load_profile("dev")  # --hypothesis-profile chooses another


def pytest_configure():
    # A shell starts what runs in the background with Ctrl-C ignored, and whatever that starts inherits it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
