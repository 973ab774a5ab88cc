"""Seeded damage of values and pages, through the whole API: a RestanteError or a result, and always an end."""

import contextlib
import shutil
import signal
import struct

import pytest

from recorder import (
    Journal,
    JournalDamaged,
    JournalReader,
    Recorder,
    RestanteError,
    Shipper,
    ShippingPolicy,
    State,
    audit,
    diagnose,
    salvage,
)
from recorder.maintenance.findings import Severity
from tests.doubles import AT_ONCE, FORBIDDEN, PATIENCE, REFUSED, RESET, UNREACHABLE, Scripted
from tests.profiles import sampled
from tests.recorder.damage import damage, disorder, furnished, put_past_indexes

SHORT, LONG = range(10), range(10, 310)
SECONDS = 60  # far more than any of these takes: something runs for ever
OF_THE_JOURNAL = {"journal", "accounts", "pages"}

READS = {
    "counts": JournalReader.counts,
    "shipping": JournalReader.shipping,
    "token": JournalReader.token,
    "moved": JournalReader.moved,
    "entries": lambda reader: reader.entries(limit=1_000),
    "filtered": lambda reader: reader.entries("state=in_doubt op=append"),
    "set aside": lambda reader: reader.older(states=[State.REJECTED, State.IN_DOUBT, State.WAITING]),
    "stream": lambda reader: list(reader.stream()),
    "tally": lambda reader: reader.tally("op=append"),
    "attempts": lambda reader: reader.attempts(limit=100),
    "attempts of": lambda reader: [reader.attempts(seq) for seq in range(30, 60)],
    "carried by": lambda reader: [reader.carried_by(attempt) for attempt in range(1, 20)],
    "failures": JournalReader.failures,
    "failed attempts": JournalReader.failed_attempts,
    "places": lambda reader: (reader.place(60), reader.number_at(10)),
    "profiles": lambda reader: (reader.profile_counts(1, 300), reader.numbers_of("p1")),
    "history": lambda reader: (list(reader.history()), reader.history_of("p1")),
    "baseline": lambda reader: (list(reader.baseline()), reader.baseline_counts(), reader.baseline_of("p1")),
    "pruned": JournalReader.pruned,
}
UNDER_FIRE = ShippingPolicy(settle_after=0, batch_updates=7, in_doubt="drop", fold=True)
WRITES = {
    "record": lambda journal: Recorder("T", journal).people_set("ada", {"a": 1}),
    "statistics": lambda journal: journal.statistics(1.0),
    "retry": lambda journal: journal.retry(""),
    "discard": lambda journal: journal.discard(""),
    "edit": lambda journal: journal.edit(120, {"$distinct_id": "p0", "$append": {"n": 1}}),
    "prune": lambda journal: journal.prune(all_shipped=True),
    "prune later": lambda journal: journal.prune(now=9e9),
    "forget": lambda journal: journal.forget("p1", delete_remote=True, timeout=1),
    "token": lambda journal: journal.change_token("NEW"),
    "ship": lambda journal: Shipper(journal, Scripted(), AT_ONCE).ship(SECONDS),
    "ship under fire": lambda journal: [
        Shipper(journal, Scripted(answer, answer), UNDER_FIRE).ship(SECONDS)
        for answer in (RESET, REFUSED, FORBIDDEN, UNREACHABLE, PATIENCE)
    ],
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "kiosk.db"
    furnished(path)
    return path


@pytest.fixture(autouse=True)
def ends():
    """Fail rather than run for ever."""

    def too_long(*_):
        raise TimeoutError(f"it runs for more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def try_all(original, folder, seed):
    """Damage a copy, and try everything; no other exception than a RestanteError gets through."""
    path, copy = folder / "kiosk.db", folder / "copy.db"
    shutil.copy(original, path)
    shutil.copy(original.with_name("kiosk.db.open"), folder / "kiosk.db.open")
    done = damage(path, seed)
    for read in READS.values():
        with contextlib.suppress(RestanteError), JournalReader(path) as reader:
            read(reader)
    for write in WRITES.values():
        for part in folder.glob("copy.db*"):
            part.unlink()
        shutil.copy(path, copy)
        with contextlib.suppress(RestanteError), Journal(copy, durability="process") as journal:
            write(journal)
    check_maintenance(path, done)


def check_maintenance(path, done):
    """Doctor and audit see what salvage mends, and nothing is left to mend after it."""
    audited = None
    with contextlib.suppress(RestanteError):
        audited = audit(path)
    found = wrong(path)
    if audited is not None and not audited.agrees:
        assert found, done
    salvaged = salvage(path)
    assert bool(found) == (salvaged is not None), (done, found)
    assert not wrong(path), done
    assert audit(path).agrees, done


def wrong(path):
    return [
        finding.text
        for finding in diagnose(path, deep=True)
        if finding.severity is Severity.ATTENTION and finding.name in OF_THE_JOURNAL
    ]


def test_prune_ends_without_free_pages(path):
    """The file says that pages are free, and none can be given back."""
    furnished(path)
    with Journal(path, durability="process") as journal:
        journal.discard("")
        Shipper(journal, Scripted(), AT_ONCE).ship()
    with path.open("r+b") as file:
        file.seek(36)  # how many pages are free
        file.write(struct.pack(">I", 3))
        file.seek(52)  # SQLite shrinks a file only where neither of these is 0
        file.write(bytes(4))
        file.seek(64)
        file.write(bytes(4))
    with contextlib.suppress(RestanteError), Journal(path, durability="process") as journal:
        journal.prune(all_shipped=True)


@pytest.mark.parametrize("settle_after", sampled([0, 1_000], 2))
@pytest.mark.parametrize("act", [*WRITES.values(), *READS.values()], ids=[*WRITES, *READS])
def test_rows_out_of_order_end(path, act, settle_after):
    """A row that reading finds, and seeking does not, would be pruned, moved or read again and again."""
    with Journal(path, durability="process") as journal, Recorder("T", journal) as recorder:
        with recorder.batch() as batch:
            for n in range(300):
                batch.people_append(f"p{n % 7}", {"n": n, "text": "needle"})
        Shipper(journal, Scripted(), AT_ONCE).ship(limit=200)
        Shipper(journal, Scripted(RESET), ShippingPolicy(settle_after=settle_after, batch_updates=3)).ship()
    disorder(path, b"needle")
    opened = JournalReader(path) if act in READS.values() else Journal(path, durability="process")
    with contextlib.suppress(RestanteError), opened as one:
        act(one)


def test_entry_only_in_an_index_is_no_loop(path):
    """It is sent once more, and not again and again."""
    with Journal(path) as journal, Recorder("T", journal) as recorder:
        recorder.people_append("ada", {"n": 1})
        Shipper(journal, Scripted(RESET), AT_ONCE).ship()
    put_past_indexes(path, "UPDATE entries SET state = 'shipped'")
    transport = Scripted()
    for _ in range(3):
        with Journal(path) as journal, pytest.raises(JournalDamaged, match="found again"):
            Shipper(journal, transport, AT_ONCE).ship()
    assert len(transport.sent) == 1
    assert wrong(path)


@pytest.mark.parametrize("seed", sampled(SHORT, 5))
def test_some_damage_ends_in_words(original, tmp_path, seed):
    try_all(original, tmp_path, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG)
def test_any_damage_ends_in_words(original, tmp_path, seed):
    try_all(original, tmp_path, seed)
