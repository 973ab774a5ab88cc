"""For all tests: Hypothesis's profile, and Ctrl-C as a terminal gives it."""

import gc
import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from tests import profiles  # noqa: F401  # registers them

settings.load_profile("dev")  # --hypothesis-profile chooses another


def pytest_configure():
    # A shell starts what runs in the background with Ctrl-C ignored, and whatever that starts inherits it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Leave what collecting makes out of every garbage collection: some hundred megabytes that stay.

    Later ones come less often than by default: those of the browser's widgets took a tenth of the whole time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000)
        gc.enable()


@pytest.fixture
def on_disk():
    """A folder that a restart leaves as it is: `tmp_path` may be in memory, of which the doctor warns."""
    kept = "/var/tmp" if os.name == "posix" else None  # noqa: S108  # what is made in it has a random name
    with tempfile.TemporaryDirectory(dir=kept) as folder:
        yield Path(folder)
