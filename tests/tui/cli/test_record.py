"""`restante record`: from files and pipes into the journal, all lines or none."""

import json
import os
import signal
import stat

import pytest

from recorder import Journal, JournalReader
from tests.profiles import sampled
from tui.cli.stopping import interrupt_after

GOOD = '{"$distinct_id":"ada","$set":{"plan":"pro"}}'


def numbered(count, first=1):
    """Lines that say their own number, so that a lost, doubled or moved one shows."""
    return "".join(
        json.dumps({"$distinct_id": f"u{number % 7}", "$add": {"n": number}}) + "\n"
        for number in range(first, first + count)
    )


def numbers(entries):
    return [entry.message["$add"]["n"] for entry in entries]


# --- from where


def test_file_is_recorded_in_order(restante, journal, tmp_path, entries):
    (tmp_path / "updates.jsonl").write_text(numbered(5))
    ran = restante("record", "--token", "T", "-j", journal, "updates.jsonl")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "Recorded 5 entries from 5 lines.\n"
    assert numbers(entries(journal)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_lines_of_standard_input_are_journaled(restante, journal, entries, arguments):
    ran = restante("record", "--token", "T", "-j", journal, *arguments, stdin=numbered(3))
    assert ran.code == 0
    assert numbers(entries(journal)) == [1, 2, 3]


def test_journal_is_restante_db_unless_named(restante, tmp_path, entries):
    assert restante("record", "--token", "T", stdin=GOOD).code == 0
    assert len(entries(tmp_path / "restante.db")) == 1
    named = {"RESTANTE_JOURNAL": str(tmp_path / "other.db")}
    assert restante("record", "--token", "T", stdin=GOOD, environment=named).code == 0
    assert len(entries(tmp_path / "other.db")) == 1


def test_missing_input_makes_no_journal(restante, journal):
    ran = restante("record", "--token", "T", "-j", journal, "nowhere.jsonl")
    assert (ran.code, ran.out) == (2, "")
    assert "nowhere.jsonl" in ran.err
    assert not journal.exists()


def test_no_lines_are_no_entries(restante, journal, entries):
    ran = restante("record", "--token", "T", "-j", journal)
    assert (ran.code, ran.err) == (0, "Recorded 0 entries from 0 lines.\n")
    assert entries(journal) == []


# --- for which project


def test_token_has_three_sources(restante, journal, entries):
    other = {"RESTANTE_TOKEN": "OTHER"}
    assert restante("record", "--token", "T", "-j", journal, stdin=GOOD, environment=other).code == 0
    assert restante("record", "-j", journal, stdin=GOOD).code == 0
    assert restante("record", "-j", journal, stdin=GOOD, environment={"RESTANTE_TOKEN": "T"}).code == 0
    assert len(entries(journal)) == 3


def test_missing_token_reads_nothing(restante, journal, tmp_path):
    given = tmp_path / "given.jsonl"
    given.write_text(GOOD)
    with given.open() as stdin:
        ran = restante("record", "-j", journal, stdin=stdin, environment={"RESTANTE_TOKEN": ""})
        assert os.lseek(stdin.fileno(), 0, os.SEEK_CUR) == 0
    assert (ran.code, ran.out) == (2, "")
    assert "--token" in ran.err
    assert "RESTANTE_TOKEN" in ran.err
    assert not journal.exists()


def test_wrong_token_reads_nothing(restante, journal, tmp_path, entries):
    restante("record", "--token", "T", "-j", journal, stdin=GOOD)
    given = tmp_path / "given.jsonl"
    given.write_text(GOOD)
    with given.open() as stdin:
        ran = restante("record", "--token", "OTHER", "-j", journal, stdin=stdin)
        assert os.lseek(stdin.fileno(), 0, os.SEEK_CUR) == 0
    assert ran.code == 2
    assert "another project" in ran.err
    assert len(entries(journal)) == 1


def test_foreign_file_is_refused_untouched(restante, tmp_path):
    foreign = tmp_path / "notes.txt"
    foreign.write_text("milk, bread, tickets\n" * 300)
    ran = restante("record", "--token", "T", "-j", foreign, stdin=GOOD)
    assert ran.code == 2
    assert "is not a journal" in ran.err
    assert "Traceback" not in ran.err
    assert foreign.read_text() == "milk, bread, tickets\n" * 300
    assert list(tmp_path.iterdir()) == [foreign]


def test_foreign_file_without_token_is_refused(restante, tmp_path):
    (tmp_path / "notes.txt").write_text("milk, bread, tickets\n" * 300)
    ran = restante("record", "-j", "notes.txt", stdin=GOOD)
    assert ran.code == 2
    assert "is not a journal" in ran.err


# --- what a line may be


def test_unknown_operator_is_a_bad_line(restante, journal, entries):
    line = '{"$distinct_id":"ada","$increment":{"visits":1}}'
    ran = restante("record", "--token", "T", "-j", journal, stdin=line)
    assert (ran.code, entries(journal)) == (2, [])
    assert "line 1: $increment: is not an operator; did you mean $add?" in ran.err
    ran = restante("record", "--token", "T", "-j", journal, "--unknown-operators", "ship", stdin=line)
    assert [entry.operator for entry in entries(journal)] == ["$increment"]


def test_editor_leftovers_are_accepted(restante, journal, entries):
    lines = [b"\xef\xbb\xbf" + GOOD.encode() + b"\r\n", b"\r\n", b"  \t\n", b"\n", b" " + GOOD.encode()]
    ran = restante("record", "--token", "T", "-j", journal, stdin=b"".join(lines))
    assert (ran.code, ran.err) == (0, "Recorded 2 entries from 5 lines.\n")
    assert [entry.message["$set"] for entry in entries(journal)] == [{"plan": "pro"}] * 2


def test_two_operators_are_two_entries(restante, journal, entries):
    line = '{"$distinct_id":"ada","$add":{"visits":1},"$set":{"plan":"pro"},"$time":5}'
    ran = restante("record", "--token", "T", "-j", journal, stdin=line)
    assert ran.err == "Recorded 2 entries from 1 line.\n"
    taken = entries(journal)
    assert [entry.operator for entry in taken] == ["$add", "$set"]
    assert [entry.message["$time"] for entry in taken] == [5, 5]


def test_group_lines_have_their_lane(restante, journal, entries):
    line = '{"$group_key":"company","$group_id":"acme","$set":{"plan":"pro"}}'
    restante("record", "--token", "T", "-j", journal, stdin=f"{GOOD}\n{line}\n")
    taken = [(entry.lane, entry.group_key, entry.profile) for entry in entries(journal)]
    assert taken == [("people", None, "ada"), ("groups", "company", "acme")]


def test_own_token_is_removed(restante, journal, entries):
    restante("record", "--token", "T", "-j", journal, stdin='{"$token":"T","$distinct_id":"a","$set":{}}')
    assert "$token" not in entries(journal)[0].message


def nested(depth):
    return b'{"$distinct_id":"a","$set":{"x":' + b"[" * depth + b"]" * depth + b"}}"


BAD = {
    "not JSON": (b"plan=pro", "not JSON"),
    "cut off": (GOOD.encode()[:-1], "not JSON"),
    "not UTF-8": (b'{"$distinct_id":"\xe9ric","$set":{}}', "UTF-8"),
    "a list": (b"[" + GOOD.encode() + b"]", "not a JSON object"),
    "a string": (b'"ada"', "not a JSON object"),
    "NaN": (b'{"$distinct_id":"a","$set":{"x":NaN}}', "$set.x"),
    "an infinity": (b'{"$distinct_id":"a","$set":{"x":-Infinity}}', "$set.x"),
    "beyond doubles": (b'{"$distinct_id":"a","$add":{"x":1e999}}', "$add.x"),
    "an integer beyond doubles": (b'{"$distinct_id":"a","$add":{"x":1' + b"0" * 400 + b"}}", "$add.x"),
    "an integer of 5,000 digits": (b'{"$distinct_id":"a","$add":{"x":' + b"9" * 5_000 + b"}}", "digits"),
    "a lone surrogate": (b'{"$distinct_id":"a","$set":{"x":"\\ud83d"}}', "surrogate"),
    "101 deep": (nested(101), "nested deeper than 100"),
    "100,000 deep": (nested(100_000), "message"),
    "no operator": (b'{"$distinct_id":"a"}', "no operator"),
    "no id": (b'{"$set":{}}', "$distinct_id"),
    "user and group": (b'{"$distinct_id":"a","$group_key":"k","$group_id":"g","$set":{}}', "not both"),
    "text where a number must be": (b'{"$distinct_id":"a","$add":{"x":"1"}}', "$add.x"),
    "an exported profile": (b'{"$distinct_id":"a","$properties":{"x":1}}', 'write "$set" in place'),
    "a name twice": (b'{"$distinct_id":"a","$set":{"x":1},"$set":{"y":1}}', '"$set" appears twice'),
    "another token": (b'{"$token":"OTHER","$distinct_id":"a","$set":{}}', "another project"),
    "over a megabyte": (b'{"$distinct_id":"a","$set":{"x":"' + b"x" * 1_000_001 + b'"}}', "limit"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_line_records_nothing(restante, journal, entries, name):
    line, says = BAD[name]
    ran = restante("record", "--token", "T", "-j", journal, stdin=b"\r\n" + GOOD.encode() + b"\n" + line)
    assert (ran.code, ran.out) == (2, "")
    assert "line 3:" in ran.err
    assert says in ran.err
    assert "Nothing was recorded" in ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err) < 500
    assert entries(journal) == []


def test_late_bad_line_records_nothing(restante, journal, entries):
    lines = numbered(4_999) + "oops\n" + numbered(2_000)
    ran = restante("record", "--token", "T", "-j", journal, stdin=lines)
    assert ran.code == 2
    assert "line 5000:" in ran.err.replace(",", "")
    assert entries(journal) == []


def test_reason_never_reaches_the_terminal_raw(restante, journal):
    line = '{"$distinct_id":"a","$add":{"\\u001b]0;pwned\\u0007\\u202e":"x"}}\n\x1b[2J'
    ran = restante("record", "--token", "T", "-j", journal, "--skip-invalid", "bad.jsonl", stdin=line)
    assert ran.code == 1
    assert ran.err.replace("\n", "").isprintable()


# --- setting bad lines aside


def test_bad_lines_are_set_aside(restante, journal, tmp_path, entries):
    bad = [b"oops\r\n", b'{"$distinct_id":"\xe9"}\n', b"{}"]
    good = [line.encode() for line in numbered(3).splitlines(keepends=True)]
    lines = [good[0], bad[0], good[1], b"\n", bad[1], good[2], bad[2]]
    ran = restante("record", "--token", "T", "-j", journal, "--skip-invalid", "bad", stdin=b"".join(lines))
    assert (ran.code, ran.out) == (1, "")
    told = ran.err.splitlines()
    assert told[:2] == ["Recorded 3 entries from 7 lines.", "Set 3 bad lines aside:"]
    assert [line.split(":")[0].strip() for line in told[2:]] == ["line 2", "line 5", "line 7"]
    assert numbers(entries(journal)) == [1, 2, 3]
    assert (tmp_path / "bad").read_bytes() == b"".join(bad) + b"\n"
    assert stat.S_IMODE((tmp_path / "bad").stat().st_mode) == 0o600


def test_only_first_reasons_are_shown(restante, journal):
    ran = restante("record", "--token", "T", "-j", journal, "--skip-invalid", "bad", stdin="{}\n" * 1_007)
    assert ran.code == 1
    assert "Set 1,007 bad lines aside:" in ran.err
    assert "1,002 more" in ran.err
    assert len(ran.err.splitlines()) == 8


def test_skip_invalid_without_bad_lines(restante, journal):
    assert restante("record", "--token", "T", "-j", journal, "--skip-invalid", "bad", stdin=GOOD).code == 0


@pytest.mark.parametrize("following", [[], ["--follow"]])
def test_long_line_is_one_line(restante, journal, tmp_path, entries, following):
    endless = b"x" * 17_000_000 + b"\n"
    lines = endless + numbered(1).encode() + b"oops\n"
    options = ["--json", "--skip-invalid", "bad", *following]
    ran = restante("record", "--token", "T", "-j", journal, *options, stdin=lines)
    assert ran.json == {"lines": 3, "entries": 1, "skipped": 2}
    assert (tmp_path / "bad").read_bytes() == endless + b"oops\n"
    assert numbers(entries(journal)) == [1]


def test_long_last_line_is_one_line(restante, journal, entries):
    ran = restante("record", "--token", "T", "-j", journal, stdin=" " * 8_000_001 + GOOD)
    assert ran.code in {0, 2}
    assert ("from 1 line." in ran.err) == (ran.code == 0)
    assert len(entries(journal)) == (1 if ran.code == 0 else 0)


def test_input_is_not_overwritten(restante, journal, tmp_path):
    lines = numbered(2) + "oops\n" + numbered(1, 3)
    (tmp_path / "updates.jsonl").write_text(lines)
    ran = restante(
        "record", "--token", "T", "-j", journal, "--skip-invalid", "./updates.jsonl", "updates.jsonl"
    )
    assert ran.code == 2
    assert (tmp_path / "updates.jsonl").read_text() == lines


def test_unwritable_file_makes_no_journal(restante, journal):
    for following in ([], ["--follow"]):
        options = ["--skip-invalid", "nowhere/bad", *following]
        ran = restante("record", "--token", "T", "-j", journal, *options, stdin=GOOD)
        assert (ran.code, ran.out) == (2, "")
        assert "nowhere/bad" in ran.err
        assert not journal.exists()


# --- for programs


def test_json_counts_lines_entries_and_skipped(restante, journal):
    lines = GOOD + '\n\noops\n{"$distinct_id":"a","$set":{"x":1},"$unset":["y"]}\n'
    ran = restante("record", "--token", "T", "-j", journal, "--json", "--skip-invalid", "bad", stdin=lines)
    assert ran.code == 1
    assert ran.json == {"lines": 4, "entries": 3, "skipped": 1}


def test_terminal_shows_progress(restante, journal, tmp_path):
    (tmp_path / "updates.jsonl").write_text(numbered(8_000))
    ran = restante.on_terminal("record", "--token", "T", "-j", journal, "updates.jsonl")
    assert ran.code == 0
    assert "validating lines" in ran.out
    assert ran.out.endswith("\x1b[2KRecorded 8,000 entries from 8,000 lines.\n")


# --- following


def test_follow_requires_skip_invalid(restante, journal):
    ran = restante("record", "--token", "T", "-j", journal, "--follow", stdin=GOOD)
    assert (ran.code, ran.out) == (2, "")
    assert "--skip-invalid" in ran.err
    assert not journal.exists()


def test_follow_commits_lines_as_they_arrive(restante, journal, tmp_path, entries, until):
    restante("record", "--token", "T", "-j", journal)
    process = restante.start("record", "-j", journal, "--follow", "--skip-invalid", "bad")

    def write(text):
        process.stdin.write(text.encode())
        process.stdin.flush()

    def journaled(wanted):
        until(lambda: numbers(entries(journal)) == wanted, f"{wanted} in the journal")

    first, second, third, fourth = numbered(4).splitlines(keepends=True)
    write(first)
    journaled([1])
    write(second[:20])
    write(second[20:] + third)
    journaled([1, 2, 3])
    write("oops\r\n")
    until(
        lambda: (tmp_path / "bad").exists() and (tmp_path / "bad").read_bytes() == b"oops\r\n",
        "the bad line",
    )
    ran = restante.finish(process, fourth.rstrip().encode())
    assert ran.code == 1
    assert ran.err.startswith("Recorded 4 entries from 5 lines.\nSet 1 bad line aside:\n  line 4: ")
    assert numbers(entries(journal)) == [1, 2, 3, 4]


@pytest.mark.parametrize("sent", sampled([signal.SIGINT, signal.SIGKILL], 2))
def test_ended_follow_keeps_its_commits(restante, journal, entries, until, sent):
    restante("record", "--token", "T", "-j", journal)
    process = restante.start("record", "-j", journal, "--follow", "--skip-invalid", "bad")
    process.stdin.write(numbered(2).encode() + b'{"$distinct')
    process.stdin.flush()
    until(lambda: len(entries(journal)) == 2, "two entries")
    process.send_signal(sent)
    ran = restante.finish(process)
    assert (ran.code, ran.out) == (130 if sent is signal.SIGINT else -signal.SIGKILL, "")
    assert ran.err.strip() == ("Recorded 2 entries before this; they stay." if sent is signal.SIGINT else "")
    assert numbers(entries(journal)) == [1, 2]
    assert restante("record", "-j", journal, stdin=numbered(1, 3)).code == 0


def test_interrupt_waits_for_the_count():
    """A commit that others can see counts, whenever Ctrl-C comes; a second Ctrl-C ends a commit that hangs."""
    counted = []
    with pytest.raises(KeyboardInterrupt), interrupt_after():
        os.kill(os.getpid(), signal.SIGINT)
        counted.append("commit")
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        counted.append("end")
    assert counted == ["commit", "end"]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


# --- all or none


def test_lines_are_one_commit(restante, journal):
    with Journal(journal, token="T"), JournalReader(journal) as reader:
        process = restante.start("record", "-j", journal)
        process.stdin.write(numbered(10_000).encode())
        process.stdin.close()
        seen = set()
        while process.poll() is None:
            seen.add(reader.counts().recorded)
        assert seen <= {0, 10_000}
        assert reader.counts().recorded == 10_000


@pytest.mark.parametrize(
    ("sent", "code"), sampled([(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)], 2)
)
def test_ended_while_reading_records_nothing(restante, journal, entries, sent, code):
    process = restante.start("record", "--token", "T", "-j", journal)
    process.stdin.write(numbered(6_000).encode())  # more than a pipe takes: most of it was read
    process.stdin.flush()
    process.send_signal(sent)
    ran = restante.finish(process)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.strip() == ("Interrupted: nothing was recorded." if sent is signal.SIGINT else "")
    assert entries(journal) == []
    assert restante("record", "-j", journal, stdin=numbered(2)).code == 0
    assert numbers(entries(journal)) == [1, 2]


# --- several at once, and who may read


def test_slow_input_blocks_no_other_record(restante, journal, entries):
    slow = restante.start("record", "--token", "T", "-j", journal)
    slow.stdin.write(numbered(6_000, 10).encode())  # more than a pipe takes: it is at work
    slow.stdin.flush()
    assert restante("record", "-j", journal, stdin=numbered(1, 5)).code == 0
    assert restante.finish(slow).code == 0
    assert numbers(entries(journal)) == [5, *range(10, 6_010)]


def test_files_are_private_whatever_the_umask(restante, journal, entries, until):
    process = restante.start(
        "record", "--token", "T", "-j", journal, "--follow", "--skip-invalid", "bad", umask=0
    )
    process.stdin.write(GOOD.encode() + b"\n")
    process.stdin.flush()
    until(lambda: journal.exists() and entries(journal), "an entry")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in journal.parent.glob("kiosk.db*")}
    assert modes == dict.fromkeys(modes, 0o600)
    assert restante.finish(process).code == 0


# --- what cannot be read or written


def test_byte_order_mark_alone_is_no_line(restante, journal):
    ran = restante("record", "--token", "T", "-j", journal, stdin=b"\xef\xbb\xbf\r\n")
    assert (ran.code, ran.err) == (0, "Recorded 0 entries from 1 line.\n")


@pytest.mark.parametrize("following", [(), ("--follow", "--skip-invalid", "bad")])
def test_closed_input_is_an_error(restante, journal, entries, following):
    ran = restante("record", "--token", "T", "-j", journal, *following, stdin=None)
    assert (ran.code, ran.out) == (2, "")
    assert "Error: standard input cannot be read: Bad file descriptor\n" in ran.err
    assert entries(journal) == []


def test_full_disk_for_bad_lines_is_named(restante, journal, entries):
    ran = restante(
        "record", "--token", "T", "-j", journal, "--skip-invalid", "/dev/full", stdin=GOOD + "\noops"
    )
    assert ran.code == 2
    assert ran.err == ("Error: /dev/full cannot be written: No space left on device\nNothing was recorded.\n")
    assert entries(journal) == []


def test_name_that_stands_twice_is_refused(restante, journal, entries):
    line = '{"$distinct_id": "ada", "$set": {"a": 1}, "$set": {"\\u009b": 2}}'
    ran = restante("record", "--token", "T", "-j", journal, stdin=f"{GOOD}\n{line}")
    assert ran.code == 2
    assert 'line 2: message: is not JSON: the name "$set" appears twice in an object' in ran.err
    assert entries(journal) == []


def test_failing_follower_tells_what_it_committed(restante, journal, entries):
    options = ["--follow", "--skip-invalid", "/dev/full"]
    lines = numbered(3_000) + "oops\n" + numbered(3_000, 3_001)
    ran = restante("record", "--token", "T", "-j", journal, *options, stdin=lines)
    assert ran.code == 2
    committed = len(entries(journal))
    assert 0 < committed < 6_000
    assert ran.err.startswith(f"Recorded {committed:,} entries before this; they stay.\nError: /dev/full")


# --- how large the journal may grow


def test_too_much_for_the_journal_says_so(restante, journal, entries):
    """The journal is all but empty: nothing has grown, and nothing is pending."""
    ran = restante("record", "--token", "T", "-j", journal, "--max-bytes", "2M", stdin=numbered(9_000))
    assert ran.code == 1
    assert (
        "may not grow beyond its max_bytes, 2,000,000, of which shipping keeps 1 MB; nothing was recorded"
        in ran.err
    )
    assert entries(journal) == []
    assert restante("record", "-j", journal, stdin=GOOD).code == 0


@pytest.mark.long
def test_full_journal_takes_no_line(restante, journal, tmp_path):
    (tmp_path / "updates.jsonl").write_text(numbered(60_000))
    ran = restante("record", "--token", "T", "-j", journal, "--max-bytes", "5M", "updates.jsonl")
    assert ran.code == 1
    assert "max_bytes, 5,000,000" in ran.err
    assert "Ship what is pending" in ran.err
    assert restante("status", "-j", journal, "--json").json["accounts"]["recorded"] == 0
    assert restante("record", "-j", journal, "--max-bytes", "64M", "updates.jsonl").code == 0
    assert restante("status", "-j", journal, "--json").json["accounts"]["recorded"] == 60_000


@pytest.mark.parametrize("size", ["5", "5T", "lots", "-5M"])
def test_bad_size_is_refused(restante, journal, size):
    ran = restante("record", "--token", "T", "-j", journal, "--max-bytes", size, stdin=GOOD)
    assert (ran.code, "max-bytes" in ran.err, journal.exists()) == (2, True, False)
