"""`JournalReader`: everything that commands and screens read from a journal."""

from recorder.reading.attempts import AttemptReader
from recorder.reading.flow import FlowReader
from recorder.reading.history import HistoryReader
from recorder.reading.previews import PreviewReader

__all__ = ["JournalReader"]


class JournalReader(PreviewReader, AttemptReader, HistoryReader, FlowReader):
    """A journal's entries, attempts, history and accounts; read-only, and no writer ever waits for it.

    Args:
        path: The journal's file. It is never created.
        clock: Seconds since the epoch, for ages and for filters such as ``since=2h``.

    Raises:
        JournalMissing, NotAJournal, JournalTooNew, JournalDamaged: There is nothing to read.

    >>> import pathlib, tempfile
    >>> from restante import JournalReader, Recorder
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
    >>> with Recorder("PROJECT", path) as recorder:
    ...     recorder.people_set("ada", {"plan": "pro"})
    >>> with JournalReader(path) as reader:
    ...     [(entry.seq, entry.profile, entry.operator, entry.state.value) for entry in reader.entries()]
    [(1, 'ada', '$set', 'pending')]
    """
