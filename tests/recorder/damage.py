"""A journal with rows of every kind, and seeded damage to its values and its pages."""

import contextlib
import random
import sqlite3

from recorder import Journal, Recorder, Shipper, ShippingPolicy
from recorder.journal.opening import PAGE_SIZE
from recorder.model.operations import Lane
from tests.doubles import AT_ONCE, REFUSED, RESET, Scripted, claim, take_over

TEXT = "CAST(x'ff41' AS TEXT)"  # not UTF-8
LEAF = 0x0D  # the type of a page with rows
VALUES = ("NULL", TEXT, "x'0001'", "'nonsense'", """'{"a":'""", "''", "-1", str(2**63 - 1), "1e308", "0.5")


def furnished(path):
    """Fill a new journal: each table has rows, each state has entries, and some were pruned."""
    with Journal(path, token="T", durability="process", keep_shipped_days=30) as journal:
        with Recorder("T", journal, on_invalid="reject") as recorder:
            record_some(recorder, 40)
            recorder.people_update({"$distinct_id": "ada", "$add": {"n": "no number"}})
            Shipper(journal, Scripted(), AT_ONCE).ship(limit=30)
            journal.prune(all_shipped=True)
            record_some(recorder, 60)
            Shipper(journal, Scripted(REFUSED, REFUSED), ShippingPolicy(batch_updates=2)).ship(limit=25)
            Shipper(journal, Scripted(RESET), ShippingPolicy(settle_after=0, in_doubt="hold")).ship()
            Shipper(journal, Scripted(), ShippingPolicy(settle_after=0, in_doubt="hold")).ship(limit=10)
            Shipper(journal, Scripted(RESET), ShippingPolicy(settle_after=1_000)).ship()
            journal.discard("state=pending profile=p2")
            record_some(recorder, 40)
        claim(journal, take_over(journal), 5)  # and left open


def record_some(recorder, number):
    """Record updates of users and groups, and some that are longer than a page."""
    with recorder.batch() as batch:
        for n in range(number):
            batch.people_append(f"p{n % 7}", {"n": n, "text": "x" * (9_000 if n % 20 == 7 else 60)})
            if n % 5 == 0:
                batch.group_set("company", f"g{n % 3}", {"n": n})


def damage(path, seed):
    """Damage a journal that nobody has open; return what was done."""
    chance = random.Random(seed)
    kind = chance.choice((_value, _value, _flip, _overwrite, _copy_page, _cut))
    return f"seed {seed}: {kind(path, chance)}"


def _value(path, chance):
    tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        table = chance.choice(["entries", *(name for (name,) in connection.execute(tables).fetchall())])
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})").fetchall()]
        rows = [row for (row,) in connection.execute(f"SELECT rowid FROM {table}").fetchall()]
    return put(path, table, chance.choice(rows), chance.choice(columns), chance.choice(VALUES))


def put(path, table, row, column, value):
    """Put a value, as SQL, where the schema may not allow it."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        before = connection.execute("SELECT rowid, sql FROM sqlite_schema").fetchall()
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(replace(sql, ' NOT NULL', ''), ' TEXT', '') WHERE type = 'table'"
        )
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        done = "done"
        try:
            connection.execute(f"UPDATE {table} SET {column} = {value} WHERE rowid = {row}")
        except sqlite3.IntegrityError as error:  # a row's own number is a whole one
            done = str(error)
        connection.execute("PRAGMA writable_schema = ON")
        connection.executemany(
            "UPDATE sqlite_schema SET sql = ? WHERE rowid = ?", [(sql, row) for row, sql in before]
        )
    return f"{table} {row}: {column} = {value} ({done})"


def put_past_indexes(path, statement):
    """Change the table `entries`, so that its indexes do not agree with it any more."""
    index = "type = 'index' AND tbl_name = 'entries'"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        before = connection.execute(f"SELECT * FROM sqlite_schema WHERE {index}").fetchall()
        connection.execute(f"DELETE FROM sqlite_schema WHERE {index}")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)
        connection.execute("PRAGMA writable_schema = ON")
        connection.executemany("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", before)


def disorder(path, text):
    """Swap the first and the last row of each page of rows that has this text: seeking does not find them any more."""
    content = bytearray(path.read_bytes())
    for at in range(PAGE_SIZE, len(content), PAGE_SIZE):
        page = content[at : at + PAGE_SIZE]
        if page[0] == LEAF and text in page:
            first, last = at + 8, at + 8 + 2 * (int.from_bytes(page[3:5]) - 1)
            content[first : first + 2], content[last : last + 2] = (
                content[last : last + 2],
                content[first : first + 2],
            )
    path.write_bytes(content)


def _flip(path, chance):
    content = bytearray(path.read_bytes())
    places = [chance.randrange(len(content)) for _ in range(chance.choice((1, 1, 5, 50)))]
    for place in places:
        content[place] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return f"bits flipped at {places[:5]}"


def _overwrite(path, chance):
    content = bytearray(path.read_bytes())
    at, size = chance.randrange(len(content)), chance.choice((4, 64, PAGE_SIZE))
    content[at : at + size] = chance.randbytes(size)
    path.write_bytes(content)
    return f"{size} random bytes at {at}"


def _copy_page(path, chance):
    content = bytearray(path.read_bytes())
    pages = len(content) // PAGE_SIZE
    one, other = chance.randrange(pages) * PAGE_SIZE, chance.randrange(pages) * PAGE_SIZE
    content[other : other + PAGE_SIZE] = content[one : one + PAGE_SIZE]
    path.write_bytes(content)
    return f"page at {one} copied to {other}"


def _cut(path, chance):
    size = chance.randrange(1, path.stat().st_size)
    with path.open("r+b") as file:
        file.truncate(size)
    return f"cut to {size} bytes"


def pending_of(path, lane=Lane.PEOPLE):
    """Return the numbers of a lane's pending entries, with their profiles."""
    sql = "SELECT seq, profile FROM entries_with_state WHERE lane = ? AND state = 'pending' ORDER BY seq"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql, (lane,)).fetchall()
