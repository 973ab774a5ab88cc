"""For all tests: Hypothesis's profile, and Ctrl-C as a terminal gives it."""

import gc
import signal

from hypothesis import settings

from tests import profiles  # noqa: F401  # registers them

settings.load_profile("dev")  # --hypothesis-profile chooses another


def pytest_configure():
    # A shell starts what runs in the background with Ctrl-C ignored, and whatever that starts inherits it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Leave what collecting made out of every later garbage collection: some hundred megabytes that stay."""
    gc.collect()
    gc.freeze()
