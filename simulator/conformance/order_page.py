"""Writes `order.json`, and its tables into a page: python -m simulator.conformance.order_page docs/conformance.md."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simulator.conformance.order import Agreement, computed

__all__ = ["as_json", "as_markdown"]

_BEGIN, _END = "<!-- made by simulator.conformance.order_page -->\n\n", "\n<!-- until here -->"
_SHORT: dict[str, str] = {
    Agreement.EXACT: "yes",
    Agreement.ROUNDED: "rounding",
    Agreement.UNORDERED: "list order",
    Agreement.NONE: "no",
}

_Rows = list[dict[str, Any]]


def as_json(tables: dict[str, _Rows]) -> str:
    """Return the text of `order.json`: a row on each line."""
    parts = (
        f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, rows)) + "\n]"
        for name, rows in tables.items()
    )
    return "{" + ",\n".join(parts) + "}\n"


def as_markdown(tables: dict[str, _Rows]) -> str:
    """Return the tables of the page."""
    commuting, at_once, later = tables["commute"], tables["repeat"], tables["repeat_later"]
    found = {frozenset(row["operators"]): _SHORT[row["agreement"]] for row in commuting}
    operators = [row["operators"][0] for row in at_once]
    matrix = [[_code(one), *(found[frozenset({one, other})] for other in operators)] for one in operators]
    examples = [_example(row["witness"]) for row in commuting if "witness" in row]
    return "\n".join(
        [
            _table(["", *map(_code, operators)], matrix),
            "The smallest example of each pair whose order counts:\n",
            _table(["from", "one", "other", "one; other", "other; one"], examples),
            "Repeated at once, and after another operation on the same property:\n",
            _table(
                ["operator", "at once", "not after", "from", "one", "other", "one; other", "one; other; one"],
                (_repetition(row, later) for row in at_once),
            ),
        ]
    )


def _repetition(row: dict[str, Any], later: _Rows) -> list[str]:
    (operator,) = row["operators"]
    unsafe = [one for one in later if one["operators"][0] == operator and "witness" in one]
    after = ", ".join(_code(one["operators"][1]) for one in unsafe)
    return [_code(operator), _SHORT[row["agreement"]], after, *_example(unsafe[0]["witness"])]


def _example(witness: dict[str, Any]) -> list[str]:
    return [
        _code(json.dumps(value)) for value in (witness["start"], *witness["operations"], *witness["ends"])
    ]


def _code(text: str) -> str:
    return f"`{text}`"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def _write(page: Path) -> None:
    tables = computed()
    Path(__file__).with_name("order.json").write_text(as_json(tables), encoding="utf-8")
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    page.write_text(f"{before}{_BEGIN}{as_markdown(tables)}{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
