"""Requests of those who read a service."""

import threading

from simulator.connection import post
from tests.services import RawService, answer


def test_deadline_keeps_no_process_alive():
    """Ctrl-C may come before the timer is cancelled; a process that ends does not wait for it."""
    timers, others = [], threading.enumerate()

    def take(wire, _):
        timers.extend(
            one for one in threading.enumerate() if isinstance(one, threading.Timer) and one not in others
        )
        wire.send(answer(200, b"{}"))

    with RawService(take) as service:
        assert post(service.url, "/engage", "[]", {}, 3_600).text == b"{}"
    assert [timer.daemon for timer in timers] == [True]
    timers[0].join(10)
    assert not timers[0].is_alive()
