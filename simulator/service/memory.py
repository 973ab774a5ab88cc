"""How the process of a service asks the C library for memory."""

import ctypes

__all__ = ["give_back_large_blocks"]

_M_MMAP_THRESHOLD = -3
_LARGE = 128 * 1024


def give_back_large_blocks() -> bool:
    """From now on have large blocks given back to the system as soon as they are freed; whether that can be had.

    By itself the GNU C library raises its idea of "large" to what it last saw freed, and keeps tens of megabytes
    at the top of each thread's arena: a service that has read bodies of 10 MB on many threads would hold hundreds
    for ever. This changes the whole process, so it is for a process that serves, not for an app's.

    >>> give_back_large_blocks() in {True, False}
    True
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none that can be asked
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE))
