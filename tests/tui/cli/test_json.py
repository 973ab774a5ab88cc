"""The keys of ``--json`` are those that docs/json.md lists."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import restante as names
from recorder.journal.decisions import Decision
from recorder.maintenance.audit import Audit
from recorder.maintenance.findings import Finding
from recorder.maintenance.salvage.salvage import Salvaged
from recorder.model.reports import Fenced, Forgotten, Pruned, Readback

PAGE = Path(__file__).parents[3] / "docs" / "json.md"
CLASSES = {
    one.__name__: one for one in (Audit, Decision, Fenced, Finding, Forgotten, Pruned, Readback, Salvaged)
}
COMMANDS = {  # in this order, on one journal
    "record": ["-"],
    "status": [],
    "entries": [],
    "doctor": [],
    "audit": [],
    "prune": [],
    "snapshot": ["monday.db"],
    "export --to": ["tables.db"],
    "ship": ["--url", "http://127.0.0.1:9"],
    "settle": [],
    "settle --fence": [],
    "fleet": ["kiosk.db"],
    "salvage": ["-j", "monday.db"],
    "discard": ["seq=1", "--yes"],
    "forget": ["ada", "--yes"],
    "token": ["OTHER", "--yes"],
}
LINE = b'{"$distinct_id": "ada", "$set": {"plan": "pro"}}\n'


def named(row):
    """The keys that a row of the page names; a class stands for its attributes."""
    for name in re.findall(r"`(\w+)`", row):
        kind = CLASSES.get(name) or getattr(names, name, None)
        yield from [field.name for field in fields(kind)] if kind else [name]


def keys(value):
    """The keys at the top, and within the parts that `status` has."""
    for one in value if isinstance(value, list) else [value]:
        for key, part in one.items():
            yield key
            yield from part if key in {"shipping", "accounts"} else ()


@pytest.fixture
def answers(restante, tmp_path):
    surroundings = {
        "RESTANTE_TOKEN": "T",
        "RESTANTE_JOURNAL": str(tmp_path / "kiosk.db"),
        "RESTANTE_QUERY_CREDENTIALS": "reader:secret:1",
    }
    return {
        name: restante(*name.split(), *more, "--json", stdin=LINE, environment=surroundings).json
        for name, more in COMMANDS.items()
    }


def test_json_keys_are_listed(answers):
    page = PAGE.read_text(encoding="utf-8")
    for name, value in answers.items():
        (row,) = re.findall(rf"^\| `restante .*`?{name}` .*\| (.*) \|$", page, re.MULTILINE)
        assert {*keys(value)} == {*named(row)}, name
    (row,) = re.findall(r"^\| `devices` \| (.*) \|$", page, re.MULTILINE)
    assert {*keys(answers["fleet"]["devices"])} <= {*named(row)}
