"""Waits that outlast a process: no change of the clock ends one early within a boot, none makes it longer."""

import time

from hypothesis import given
from hypothesis import strategies as st

from recorder.journal.uptime import AT_ONCE, Due, Uptime, uptime

BOOTS = st.sampled_from(["monday", "tuesday", ""])
SECONDS = st.floats(0, 1e9)
SPANS = st.floats(0, 86_400)
MOMENTS = st.builds(Uptime, BOOTS, SECONDS)


def test_within_one_boot_a_wait_ends_when_its_span_is_over():
    due = Due.after(Uptime("monday", 100.0), 30.0)
    assert [due.left(Uptime("monday", at)) for at in (100.0, 129.5, 130.0, 500.0)] == [30.0, 0.5, 0.0, 0.0]


def test_a_wait_looked_at_in_the_moment_it_begins_is_whole():
    """Here at - span, in doubles, is a little later than the moment it began."""
    began = Uptime("monday", 45.11869065726426)
    assert Due.after(began, 30.0).left(began) == 30.0


def test_after_a_reboot_a_wait_is_counted_from_the_boot():
    due = Due.after(Uptime("monday", 100.0), 30.0)
    assert [due.left(Uptime("tuesday", at)) for at in (0.0, 10.0, 30.0, 110.0)] == [30.0, 20.0, 0.0, 0.0]


def test_where_boots_have_no_name_a_clock_before_the_beginning_of_the_wait_shows_another_one():
    due = Due.after(Uptime("", 100.0), 30.0)
    assert [due.left(Uptime("", at)) for at in (110.0, 99.0, 10.0)] == [20.0, 0.0, 20.0]


def test_a_named_boot_and_a_nameless_one_are_different_boots():
    assert Due.after(Uptime("monday", 100.0), 30.0).left(Uptime("", 110.0)) == 0.0
    assert Due.after(Uptime("", 100.0), 30.0).left(Uptime("monday", 10.0)) == 20.0


def test_no_wait_is_over_at_any_moment():
    assert AT_ONCE.left(uptime()) == AT_ONCE.left(Uptime("", 0.0)) == 0.0


@given(began=MOMENTS, span=SPANS, now=MOMENTS)
def test_whatever_the_clock_says_nothing_is_left_beyond_the_whole_span(began, span, now):
    assert 0.0 <= Due.after(began, span).left(now) <= span


@given(began=MOMENTS, span=SPANS, later=SPANS)
def test_within_one_boot_a_wait_never_ends_early(began, span, later):
    now = Uptime(began.boot, began.seconds + later)
    left = Due.after(began, span).left(now)
    assert abs(left - max(0.0, span - later)) <= 2 * _rounding(now.seconds + span)


@given(began=MOMENTS, span=SPANS, now=SECONDS)
def test_after_a_reboot_a_wait_is_not_over_before_its_span_has_passed_since(began, span, now):
    left = Due.after(began, span).left(Uptime("wednesday", now))
    assert now + left >= span - _rounding(now + span)


@given(began=MOMENTS, span=SPANS, boot=BOOTS, one=SECONDS, other=SECONDS)
def test_within_one_boot_less_is_left_as_time_passes(began, span, boot, one, other):
    earlier, later = sorted((one, other))
    due = Due.after(began, span)
    if boot == began.boot and earlier < began.seconds:
        return  # no moment of that boot at which the wait could be looked at
    assert due.left(Uptime(boot, later)) <= due.left(Uptime(boot, earlier))


def test_the_clock_of_this_machine_goes_on_and_keeps_its_boot():
    before = uptime()
    time.sleep(0.001)
    after = uptime()
    assert after.boot == before.boot
    assert after.seconds > before.seconds


def _rounding(seconds):
    """What a sum of such a size may be off by."""
    return max(1.0, seconds) * 2.0**-52
