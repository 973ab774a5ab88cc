"""The filter language, through `JournalReader` on a journal of ten entries."""

import json
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorder import InvalidFilter, Journal, JournalReader
from recorder.model.entries import NewEntry
from recorder.model.filters import KEYS, where

NOW = time.time()
HOUR = 3_600


def people(id_, operator, payload, *, ago=0.0, **columns):
    message = {"$distinct_id": id_, operator: payload}
    row = NewEntry("people", None, id_, operator, json.dumps(message, ensure_ascii=False), NOW - ago)
    return row._replace(**columns)


def group(key, id_, operator, payload, *, ago=0.0):
    message = {"$group_key": key, "$group_id": id_, operator: payload}
    return NewEntry("groups", key, id_, operator, json.dumps(message, ensure_ascii=False), NOW - ago)


REJECTED = {"state": "rejected", "reason": "$add.visits: must be a number, 100% O'Hara_"}
ROWS = [
    people("ada", "$set", {"plan": "pro", "Full_Name": "Ada"}, ago=50 * HOUR),  # 1
    people("ada", "$add", {"visits": 2}, ago=10 * HOUR),  # 2
    people("bob", "$add", {"visits": 1, "100%": 1}, ago=3 * HOUR),  # 3
    people("ada", "$unset", ["plan", "city"], ago=90 * 60),  # 4
    group("company", "acme", "$set", {"plan": "team"}, ago=45 * 60),  # 5
    group("city", "ada", "$add", {"visitors": 9}, ago=20 * 60),  # 6
    people('O\'Hara "x"', "$set", {"it's": 'a "quote"'}, ago=600),  # 7
    people("Ärger_日本", "$set", {"Größe": 1, "名前": "x"}, ago=300),  # 8
    people("bob", "$add", {"visits": "two"}, ago=30, **REJECTED),  # 9
    # a message rejected when recorded, whole: neither profile nor operator
    NewEntry("people", None, None, None, '{"nonsense":[1]}', NOW - 5, "rejected", "$distinct_id: is missing"),
    NewEntry("events", None, "ada", None, '{"event":"visit","properties":{"distinct_id":"ada"}}', NOW),  # 11
]
ALL = list(range(len(ROWS), 0, -1))


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    path = tmp_path_factory.mktemp("filters") / "kiosk.db"
    with Journal(path, token="T") as journal:
        journal.append(ROWS)
    with JournalReader(path, clock=lambda: NOW) as opened:
        yield opened


@pytest.fixture(scope="module")
def found(reader):
    def seqs(expression):
        numbers = [entry.seq for entry in reader.entries(expression)]
        assert reader.count(expression) == len(numbers)
        return numbers

    return seqs


def but(*numbers):
    return [number for number in ALL if number not in numbers]


# --- words


@pytest.mark.parametrize("expression", ["", " ", "\t\n", "state!=shipped", "seq=1.."])
def test_empty_filter_finds_everything_newest_first(found, expression):
    assert found(expression) == ALL


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        ("state=rejected", [10, 9]),
        ("state!=rejected", but(9, 10)),
        ("state=pending", but(9, 10)),
        ("state=in_doubt", []),
        ("state=in_doubt,rejected", [10, 9]),
        ("state!=rejected,shipped", but(9, 10)),
        ("state=unsent", but(9, 10)),
        ("lane=events,groups", [11, 6, 5]),
        ("value=team", [5]),
        ("value=PRO", [1]),
        ("value=9", [6]),
        ("value=plan", [4]),
        ("value!=team", but(5)),
        ("state=sending", []),
        ("lane=groups", [6, 5]),
        ("lane!=people", [11, 6, 5]),
        ("lane=events", [11]),
        ("lane=imports", []),
        ("profile=ada", [11, 6, 4, 2, 1]),
        ("profile=ad", []),
        ("profile=ADA", []),
        ("group=company", [5]),
        ("group=acme", []),
        ("error=NUMBER", [9]),
        ("error=missing", [10]),
        ("error=100%", [9]),
        ("error=%", [9]),
        ("error=o'hara_", [9]),
        ("error=O_Hara", []),
    ],
)
def test_key_and_value(found, expression, numbers):
    assert found(expression) == numbers


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        (["error==$add.visits: must be a number, 100% O'Hara_"], [9]),
        ("error==number", []),
        ("error==", but(9, 10)),
        ("error!==", [10, 9]),
        ("status=none", ALL),
        ("status=400", []),
        ("status!=400", ALL),
        ("seq=3,7..8,10", [10, 8, 7, 3]),
        ("seq=..2,9..", [11, 10, 9, 2, 1]),
        ("seq!=1,2..9", [11, 10]),
    ],
)
def test_exact_words_status_and_number_lists(found, expression, numbers):
    assert found(expression) == numbers


@pytest.mark.parametrize("word", ["seq=1,,2", "seq=1,x", "status=ok", "status=4000", f"seq={'1,' * 500}1"])
def test_malformed_list_or_status_is_refused(reader, word):
    with pytest.raises(InvalidFilter):
        reader.entries(word)


def test_most_ranges_are_one_condition(found):
    assert found(f"seq={','.join(f'{n}..{n}' for n in range(1, 501))}") == ALL


@pytest.mark.parametrize("wide", ["", ",20..", ",20..900000"])
def test_long_list_takes_what_short_ones_take(found, wide):
    """Of many ranges the numbers are looked up, unless that were too many."""
    ranges = ["1", "3..4", "6", "8", "10", *map(str, range(12, 19))]
    assert found(f"seq={','.join(ranges)}{wide}") == [10, 8, 6, 4, 3, 1]
    assert found(f"seq!={','.join(ranges)}{wide}") == [11, 9, 7, 5, 2]


def test_all_words_must_hold(found):
    assert found("profile=ada op=add") == [6, 2]
    assert found("  profile=ada\top=add  lane=people\n") == [2]
    assert found("profile=ada profile=bob") == []
    assert found("visits state!=rejected op=add") == [3, 2]


@pytest.mark.parametrize("name", ["add", "set", "unset", "delete"])
def test_operator_needs_no_dollar(found, name):
    assert found(f"op={name}") == found(f"op=${name}")
    assert found(f"op!={name}") == found(f"op!=${name}")


def test_operator_is_exact(found):
    assert found("op=add") == [9, 6, 3, 2]
    assert found("op=set") == [8, 7, 5, 1]
    assert found("op=unset") == [4]
    assert found("op=$merge") == []
    assert found("op=add,unset") == [9, 6, 4, 3, 2]
    assert found("op=increment") == found("op=add")


def test_charges_have_their_own_words(tmp_path):
    path = tmp_path / "kiosk.db"
    with Journal(path, token="T") as journal:
        journal.append(
            [
                people("ada", "$append", {"$transactions": {"$amount": 5}}),
                people("ada", "$set", {"$transactions": []}),
                people("ada", "$append", {"seen": {"$transactions": 1}}),
                people("ada", "$set", {"$transactions": "none"}),
                people("ada", None, None),
            ]
        )
    with JournalReader(path) as reader:
        numbers = {
            word: [entry.seq for entry in reader.entries(word)]
            for word in ("op=charge", "op=track_charge", "op=clear_charges", "op!=charge", "op=charge,set")
        }
    assert numbers == {
        "op=charge": [1],
        "op=track_charge": [1],
        "op=clear_charges": [2],
        "op!=charge": [5, 4, 3, 2],
        "op=charge,set": [4, 2, 1],
    }


def test_negation_matches_missing_values(found):
    assert found("profile!=ada") == [10, 9, 8, 7, 5, 3]
    assert found("group!=company") == but(5)
    assert found("op!=add") == [11, 10, 8, 7, 5, 4, 1]
    assert found("error!=number") == but(9)


@pytest.mark.parametrize(
    "word",
    [
        *("profile=ada", "op=add", "op=charge,add", "group=city", "error=missing", "seq=3..5", "since=1h"),
        *("until=1h", "value=2", "state=unsent", "lane=people,events"),
    ],
)
def test_word_and_negation_divide_all_entries(found, word):
    key, value = word.split("=")
    with_it, without_it = found(word), found(f"{key}!={value}")
    assert with_it
    assert without_it
    assert sorted(with_it + without_it, reverse=True) == ALL


def test_value_may_contain_signs(found):
    assert found("profile=a=b") == []
    assert found("profile=!ada") == []
    assert found("profile!==ada") == ALL


# --- numbers and times


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        ("3", [3]),
        ("003", [3]),
        ("3..5", [5, 4, 3]),
        ("9..", [11, 10, 9]),
        ("..2", [2, 1]),
        ("5..3", []),
        ("0", []),
        ("999999999999999999", []),
    ],
)
def test_seq_is_number_or_range(found, value, numbers):
    assert found(f"seq={value}") == numbers
    assert sorted(found(f"seq!={value}") + numbers, reverse=True) == ALL


@pytest.mark.parametrize("value", ["", "..", "a", "1..b", "-1", "1...3", "1.5", "²", "٣", "1e3", "9" * 19])
def test_malformed_seq_explains_its_form(found, value):
    with pytest.raises(InvalidFilter, match=r"100\.\.200|no value"):
        found(f"seq={value}")


@pytest.mark.parametrize(
    ("span", "oldest"),
    [("90s", 9), ("15m", 7), ("1h", 5), ("1.5d", 2), ("2h", 4), ("3d", 1), ("9999999d", 1)],
)
def test_since_takes_a_span(found, span, oldest):
    assert found(f"since={span}") == list(range(len(ROWS), oldest - 1, -1))


def test_until_takes_what_since_leaves(found):
    assert found("until=2h") == [3, 2, 1]
    assert found("since=2h until=15m") == [6, 5, 4]


def test_since_is_utc_without_a_zone(found):
    moment = datetime.fromtimestamp(NOW - 2 * HOUR, UTC)
    tokyo = moment.astimezone(timezone(timedelta(hours=9)))
    naive = moment.replace(tzinfo=None)
    for written in (moment, tokyo, naive):
        assert found(f"since={written.isoformat()}") == list(range(len(ROWS), 3, -1))
    assert found("since=2020-01-31") == ALL
    assert found("since=2020-01-31T12:00Z") == ALL
    assert found("since=2999-12-31T12:00") == []
    assert found("since!=2020-01-31") == []


def test_times_are_seconds_since_the_epoch():
    assert where("since=2h", now=10_000.0).parameters == (2_800.0,)
    assert where("since=1970-01-02", now=0.0).parameters == (86_400.0,)
    assert where("since=1970-01-02T01:00+01:00", now=0.0).parameters == (86_400.0,)


@pytest.mark.parametrize(
    "value", ["yesterday", "2", "2w", "h", "-2h", "2h30m", "2026-13-01", "12:00", "nan", "1e3s"]
)
def test_malformed_since_explains_its_form(found, value):
    with pytest.raises(InvalidFilter, match="2h"):
        found(f"since={value}")


# --- bare words


@pytest.mark.parametrize(
    ("word", "numbers"),
    [
        ("ada", [11, 6, 4, 2, 1]),
        ("AD", [11, 9, 6, 4, 2, 1]),
        ("company", [5]),
        ("acme", [5]),
        ("visits", [9, 3, 2]),
        ("VISIT", [9, 6, 3, 2]),
        ("plan", [5, 4, 1]),
        ("full_name", [1]),
        ("fullXname", []),
        ("city", [6, 4]),
        ("missing", [10]),
        ("%", [9, 3]),
        ("100%", [9, 3]),
        ("_", [11, 10, 9, 8, 1]),
        ("'", [9, 7]),
        ('"x"', [7]),
        ("it's", [7]),
        ("größe", [8]),
        ("日", [8]),
        ("名前", [8]),
        ("team", [5]),
        ("quote", [7]),
        ("nobody", []),
    ],
)
def test_bare_word_searches_ids_names_errors(found, word, numbers):
    assert found(word) == numbers


@pytest.mark.parametrize("word", ["Ärger", "Ärger_日本", "Größe"])
def test_bare_word_works_in_any_alphabet(found, word):
    assert found(word) == [8]


@pytest.mark.parametrize(
    "operator", ["$merge", '$a"b', "$a\\b", "$ü", "$a.b", "$a[0]", "$", "$a\x01", '$time"x', '$plan"]', "$'"]
)
def test_bare_word_finds_any_operators_properties(tmp_path, operator):
    message = json.dumps({"$distinct_id": "u1", "$time": 1, operator: {"size": 1}}, ensure_ascii=False)
    path = tmp_path / "kiosk.db"
    with Journal(path, token="T") as journal:
        journal.append([NewEntry("people", None, "u1", operator, message, NOW)])
    with JournalReader(path, clock=lambda: NOW) as reader:
        assert reader.count("nobody") == 0
        assert reader.count("size") == 1


@pytest.mark.parametrize("payload", ["", None, 5, True, "text", [], {}, [1, None, {"a": 1}, ["b"]], 1e300])
def test_bare_word_breaks_on_no_payload(tmp_path, payload):
    path = tmp_path / "kiosk.db"
    with Journal(path, token="T") as journal:
        journal.append([people("u1", "$merge", payload)])
    with JournalReader(path, clock=lambda: NOW) as reader:
        assert reader.count("nobody") == 0
        assert reader.count("u1") == 1


# --- what is not understood


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("colour=red", "'colour' is not a filter key; the keys are state, op, profile"),
        ("State=pending", "'State' is not a filter key"),
        ("_=x", "not a filter key"),
        ("state=done", "'done' is not a state; the states are pending, sending"),
        ("state!=PENDING", "is not a state"),
        ("lane=people,all", "'all' is not a lane; the lanes are people, groups, events, imports"),
        ("state=pending,", "'' is not a state"),
        ("op=ADD", "'ADD' is not an operator; the operators are set, set_once, add"),
        ("op=merge", "others with their \\$"),
        ("until=soon", "until=soon: must be an age"),
        ("op=", "\\$add unquoted becomes nothing: write op=add"),
        ("op!=", "write op=add"),
        *((f"{key}=", "has no value") for key in KEYS),
        *((f"{key}!=", "has no value") for key in KEYS),
    ],
)
def test_unknown_word_is_an_invalid_filter(reader, word, says):
    for read in (reader.entries, reader.count):
        with pytest.raises(InvalidFilter, match=says) as caught:
            read(f"profile=ada {word}")
        assert "state=rejected" in caught.value.hint


def test_text_without_utf8_form_is_refused(reader):
    # as arguments of a command are, where their bytes were not UTF-8
    for word in ("\udcff", "profile=\udcff", "error=\udcff", "op=\udcff"):
        with pytest.raises(InvalidFilter):
            reader.entries(word)


# --- data is never SQL


@pytest.mark.parametrize(
    "value",
    [
        "'OR'1'='1",
        "';DROP/**/TABLE/**/entries;--",
        'x"OR"1"="1',
        "x')OR(1=1",
        "?",
        "%s",
        "{where}",
        "{}",
        "\\",
        "a\x00b",
    ],
)
def test_value_like_sql_is_only_text(found, value):
    assert found(f"profile={value}") == []
    assert found(f"group={value}") == []
    assert found(f"error={value}") == []
    assert found(f"op=${value}") == []
    assert found(f"value={value}") == []
    if "=" not in value:
        assert found(f"nobody{value}") == []
    assert found(f"profile!={value}") == ALL


@given(st.text() | st.text(st.characters(max_codepoint=127)))
@example("a=")
@example("$.=")
def test_any_text_filters_or_is_refused(reader, text):
    try:
        entries = reader.entries(text)
    except InvalidFilter:
        return
    assert len(entries) == reader.count(text)


VALUES = (
    st.text()
    | st.from_regex(r"\d{1,25}(\.\.\d{0,25})?", fullmatch=True)
    | st.from_regex(r"\d{1,400}(\.\d{1,9})?[smhd]", fullmatch=True)
    | st.datetimes(timezones=st.none() | st.timezones()).map(datetime.isoformat)
    | st.dates().map(str)
)


@given(st.sampled_from(KEYS), st.sampled_from(["=", "!="]), VALUES)
@example("since", "=", "9" * 400 + "d")
@example("since", "!=", "0001-01-01T00:00:00+23:59")
@example("since", "=", "9999-12-31T23:59:59-23:59")
@example("seq", "=", "..999999999999999999")
def test_any_value_filters_or_is_refused(reader, key, sign, value):
    word = f"{key}{sign}{value}"
    try:
        numbers = {entry.seq for entry in reader.entries(word)}
    except InvalidFilter:
        return
    assert numbers <= set(ALL)


@given(
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1).filter(
        lambda text: not text.split()[1:]
    )
)
def test_condition_never_contains_user_text(text):
    for key in ("profile", "group", "error", "value", "op"):
        word = f"{key}=${text.replace(',', '').strip()}" if key == "op" else f"{key}={text.strip()}"
        plain = f"{key}==x" if word.startswith("error==") else f"{key}=$x"  # exactly these words, or a part
        if text.strip():
            assert where(word, now=NOW).sql == where(plain, now=NOW).sql
