"""Waits that outlast a process: no change of the clock shortens or lengthens one within a boot."""

import time

from hypothesis import given
from hypothesis import strategies as st

from recorder.journal.uptime import AT_ONCE, Due, Uptime, uptime

BOOTS = st.sampled_from(["monday", "tuesday", ""])
SECONDS = st.floats(0, 1e9)
SPANS = st.floats(0, 86_400)
MOMENTS = st.builds(Uptime, BOOTS, SECONDS)


def test_wait_ends_after_its_span():
    due = Due.after(Uptime("monday", 100.0), 30.0)
    assert [due.left(Uptime("monday", at)) for at in (100.0, 129.5, 130.0, 500.0)] == [30.0, 0.5, 0.0, 0.0]


def test_fresh_wait_is_whole():
    """The sum minus the span, in doubles, is a little later here than the moment it began."""
    began = Uptime("monday", 45.11869065726426)
    assert Due.after(began, 30.0).left(began) == 30.0


def test_reboot_counts_from_the_boot():
    due = Due.after(Uptime("monday", 100.0), 30.0)
    assert [due.left(Uptime("tuesday", at)) for at in (0.0, 10.0, 30.0, 110.0)] == [30.0, 20.0, 0.0, 0.0]


def test_earlier_clock_shows_another_boot():
    """If boots have no name, a clock before the beginning of the wait shows another boot."""
    due = Due.after(Uptime("", 100.0), 30.0)
    assert [due.left(Uptime("", at)) for at in (110.0, 99.0, 10.0)] == [20.0, 0.0, 20.0]


def test_named_and_nameless_boots_differ():
    assert Due.after(Uptime("monday", 100.0), 30.0).left(Uptime("", 110.0)) == 0.0
    assert Due.after(Uptime("", 100.0), 30.0).left(Uptime("monday", 10.0)) == 20.0


def test_at_once_is_always_over():
    assert AT_ONCE.left(uptime()) == AT_ONCE.left(Uptime("", 0.0)) == 0.0


@given(began=MOMENTS, span=SPANS, now=MOMENTS)
def test_wait_never_exceeds_its_span(began, span, now):
    assert 0.0 <= Due.after(began, span).left(now) <= span


@given(began=MOMENTS, span=SPANS, later=SPANS)
def test_wait_never_ends_early(began, span, later):
    now = Uptime(began.boot, began.seconds + later)
    left = Due.after(began, span).left(now)
    assert abs(left - max(0.0, span - later)) <= 2 * _rounding(now.seconds + span)


@given(began=MOMENTS, span=SPANS, now=SECONDS)
def test_reboot_never_shortens_the_wait(began, span, now):
    """After a reboot a wait is not over before its span has passed since the boot."""
    left = Due.after(began, span).left(Uptime("wednesday", now))
    assert now + left >= span - _rounding(now + span)


@given(began=MOMENTS, span=SPANS, boot=BOOTS, one=SECONDS, other=SECONDS)
def test_wait_only_grows_shorter(began, span, boot, one, other):
    """Within one boot less of a wait is left as time passes."""
    earlier, later = sorted((one, other))
    due = Due.after(began, span)
    if boot == began.boot and earlier < began.seconds:
        return  # no moment of that boot at which the wait could be looked at
    assert due.left(Uptime(boot, later)) <= due.left(Uptime(boot, earlier))


def test_machine_clock_keeps_its_boot():
    before = uptime()
    time.sleep(0.001)
    after = uptime()
    assert after.boot == before.boot
    assert after.seconds > before.seconds


def _rounding(seconds):
    """Return the rounding error of a sum of such a size."""
    return max(1.0, seconds) * 2.0**-52
