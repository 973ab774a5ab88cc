"""For all tests: Hypothesis's profile, and Ctrl-C as a terminal gives it."""

import signal

from hypothesis import settings

from tests import profiles  # noqa: F401  # registers them

settings.load_profile("dev")  # --hypothesis-profile chooses another


def pytest_configure():
    # A shell starts what runs in the background with Ctrl-C ignored, and whatever that starts inherits it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
