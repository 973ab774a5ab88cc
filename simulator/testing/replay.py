"""`to_test`: a history as the text of a runnable test."""

import json
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import fields
from keyword import iskeyword
from pprint import pformat
from typing import Any

from recorder.model.dialect import Dialect
from recorder.model.errors import InvalidOperation
from recorder.model.operations import Identity, identity_of
from simulator.simulator import Simulator

__all__ = ["to_test"]

_WIDTH = 100
_INDENT = "    "


def to_test(
    messages: Iterable[Any], *, name: str = "test_history", dialect: Dialect | None = None, note: str = ""
) -> str:
    """Return a history as the text of a test: the messages, and the profiles that the simulator makes of them.

    The text is complete: saved as a file it runs with pytest, and passes. To test another implementation with the same
    history, put it in the simulator's place.

    Args:
        messages: Update messages as JSON values, in order; malformed ones are expected to be rejected.
        name: The test's name.
        dialect: The simulator's policies; the text contains those that differ from the default.
        note: A comment for the line before the first message.

    Raises:
        ValueError: The name is not a Python identifier, the note not one line, or a message not made of JSON values.

    >>> print(to_test([{"$distinct_id": "ada", "$add": {"visits": 1}}]))
    from simulator import Simulator
    from simulator.testing import assert_profile
    <BLANKLINE>
    <BLANKLINE>
    def test_history():
        simulator = Simulator()
        simulator.apply({'$distinct_id': 'ada', '$add': {'visits': 1}})
        assert_profile(simulator, 'ada', {'visits': 1})
    <BLANKLINE>
    """
    if not name.isidentifier() or iskeyword(name):
        raise ValueError(f"{name!r} cannot be a test's name: it is not a Python identifier")
    if not note.isprintable():
        raise ValueError("a note is one line of printable text")
    history = [_json(place, message) for place, message in enumerate(messages, 1)]
    simulator = Simulator.from_messages(history, dialect=dialect)
    policies = _policies(dialect or Dialect())
    checks = list(_checks(history, simulator))
    made = f"Simulator(Dialect({policies}))" if policies else "Simulator()"
    names = sorted({check.partition("(")[0] for check in checks if check.startswith("assert_")})
    lines = [
        f"from simulator import {'Dialect, ' if policies else ''}Simulator",
        *([f"from simulator.testing import {', '.join(names)}"] if names else []),
        "",
        "",
        f"def {name}():",
        f"{_INDENT}simulator = {made}",
        *([f"{_INDENT}# {note}"] if note else []),
        *(f"{_INDENT}{_call('simulator.apply', message)}" for message in history),
        *(f"{_INDENT}{check}" for check in checks),
    ]
    return "\n".join(lines) + "\n"


def _json(place: int, message: Any) -> Any:
    try:
        return json.loads(json.dumps(message, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"message {place} is not made of JSON values: {error}") from error


def _checks(history: list[Any], simulator: Simulator) -> Iterator[str]:
    named: dict[Identity, None] = {}
    for message in history:
        with suppress(InvalidOperation):
            if isinstance(message, dict):
                named[identity_of(message)] = None
    profiles = {
        **{Identity(None, id_): profile for id_, profile in simulator.profiles.items()},
        **{Identity(*whose): profile for whose, profile in simulator.groups.items()},
    }
    for identity in named:
        group = {} if identity.group_key is None else {"group_key": identity.group_key}
        if identity in profiles:
            yield _call("assert_profile", _NAMED, identity.id, dict(profiles[identity]), **group)
        else:
            yield _call("assert_absent", _NAMED, identity.id, **group)
    if simulator.rejected:
        yield f"assert len(simulator.rejected) == {len(simulator.rejected)}"


class _Name:
    def __repr__(self) -> str:
        return "simulator"


_NAMED = _Name()


def _call(function: str, *arguments: Any, **named: Any) -> str:
    """Return a call as code, on one line if it fits."""
    texts = [_code(argument) for argument in arguments]
    texts += [f"{name}={_code(value)}" for name, value in named.items()]
    line = f"{function}({', '.join(texts)})"
    if len(line) + len(_INDENT) <= _WIDTH and "\n" not in line:
        return line
    inner = "".join(f"\n{text},".replace("\n", f"\n{_INDENT * 2}") for text in texts)
    return f"{function}({inner}\n{_INDENT})"


def _code(value: Any) -> str:
    """Return a JSON value as Python code; look-alike characters are escaped."""
    text = pformat(value, width=_WIDTH - 2 * len(_INDENT), sort_dicts=False)
    plain = unicodedata.is_normalized("NFC", text) and all(map(str.isprintable, text.splitlines()))
    # Anything beyond ASCII is inside a string literal, where Python reads these escapes back.
    return text if plain else text.encode("ascii", "backslashreplace").decode()


def _policies(dialect: Dialect) -> str:
    default = Dialect()
    chosen = {field.name: getattr(dialect, field.name) for field in fields(Dialect)}
    return ", ".join(
        f"{name}=frozenset({sorted(map(str, value))!r})"
        if isinstance(value, frozenset)
        else f"{name}={value!r}"
        for name, value in chosen.items()
        if value != getattr(default, name)
    )
