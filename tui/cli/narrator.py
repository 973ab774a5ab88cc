"""Shipping as it goes on, in lines on standard error."""

import time
from collections.abc import Callable
from typing import Any

from recorder import Entry, JournalBusy, JournalError, JournalFull, JournalReader, ShipReport, State
from recorder.reading.sentence import report_sentence
from tui.cli import options
from tui.text.format import printable
from tui.text.states import LOOKS

__all__ = ["Narrator"]


class Narrator:
    """Writes a line for what a shipper tells, but for reports that say nothing new.

    Args:
        reader: Of the journal.
        end: Called with an error after which nothing more can be shipped or written.
        for_programs: Reports are written as JSON.
        name: Of the journal, where there are several; begins each line.
    """

    def __init__(
        self,
        reader: JournalReader,
        end: Callable[[BaseException], None],
        *,
        for_programs: bool = False,
        name: str = "",
    ) -> None:
        self._reader = reader
        self._end = end
        self._for_programs = for_programs
        self._prefix = f"{name}: " if name else ""
        self._said = ("done", "")

    def __call__(self, event: Any) -> None:
        """Take what `Shipper` calls its `on_event` with."""
        try:
            match event:
                case ShipReport():
                    self._tell_report(event)
                case Entry():
                    reason = f": {printable(event.reason or '')}."
                    self._say(f"Entry {event.seq:,} was ", ("rejected", LOOKS[State.REJECTED].style), reason)
                case JournalBusy() | JournalFull():
                    self._say(f"{printable(str(event))}; trying again.")
                case JournalError():
                    self._end(event)
                case Exception():
                    self._say(f"{type(event).__name__}: {printable(str(event))}; trying again.")
        except (OSError, JournalError) as error:  # whoever read our output is gone
            self._end(error)

    def _tell_report(self, report: ShipReport) -> None:
        if self._for_programs:
            options.write_json(report)
            return
        said, self._said = self._said, (report.stopped_by, report.message)
        if self._said == said and not report.shipped + report.rejected + report.in_doubt:
            return
        counts, shipping = self._reader.counts(), self._reader.shipping()
        self._say(report_sentence(report, counts, shipping, now=time.time()))

    def _say(self, *words: options.Part) -> None:
        options.narrate(self._prefix, *words)
