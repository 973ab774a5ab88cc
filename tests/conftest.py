"""For all tests."""

import signal


def pytest_configure():
    # A shell starts what runs in the background with Ctrl-C ignored, and whatever that starts inherits it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
