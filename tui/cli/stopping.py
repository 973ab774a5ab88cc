"""Signals that end a service in order, or a command between two steps."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["interrupt_after", "stop_signals"]


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Yield the list of the signals received: SIGINT or SIGTERM; a second one ends the process at once.

    Handlers run in the main thread, between any two steps of it: there they may set no event that it waits for, so
    they leave a number, and the main thread looks for it.
    """
    received: list[int] = []

    def receive(number: int, _: object) -> None:
        if received:
            os._exit(128 + number)  # somebody asked twice; what is under way will be in doubt
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupt_after() -> Iterator[None]:
    """Raise the KeyboardInterrupt of a first SIGINT at the end of the block; a second one interrupts it at once."""
    received: list[int] = []

    def receive(number: int, _: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = signal.signal(signal.SIGINT, receive)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if received:
        raise KeyboardInterrupt
