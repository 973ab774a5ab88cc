"""The configuration file: a person's colours, keys and times, for command line and browser.

It is read where a person looks, in the browser and where a stream is a terminal: what programs read, and what
services do, never depends on somebody's taste.
"""

import os
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from recorder.model.errors import RestanteError

__all__ = ["COLUMNS", "Config", "InvalidConfig", "config_file", "load", "parse"]

COLUMNS = ("seq", "age", "state", "profile", "summary")
"""Columns of the table of entries."""

_CHOICES = {"color": ("auto", "always", "never"), "times": ("utc", "local")}


class InvalidConfig(RestanteError):
    """The configuration file cannot be used."""

    hint = "Correct the file, or move it away."


@dataclass(frozen=True, slots=True)
class Config:
    """Choices of a person; each has a default.

    Attributes:
        color: Colours on terminals: auto, always (also where NO_COLOR is set) or never.
        theme: The browser's theme; empty for Textual's default.
        times: The zone of times, utc or local.
        columns: The columns that tables of entries have; `seq` is always one.
        remember: Keep the last view and filter of each journal.
        keys: Other keys of the browser, by the ids of `tui.browser.keys`.
    """

    color: str = "auto"
    theme: str = ""
    times: str = "utc"
    columns: tuple[str, ...] = COLUMNS
    remember: bool = True
    keys: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def config_file() -> Path | None:
    """Return the file's path, by XDG_CONFIG_HOME; None where nobody knows the person's home."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if not folder.is_absolute():
        try:
            folder = Path.home() / ".config"
        except RuntimeError:
            return None
    return folder / "restante" / "config.toml"


def load() -> Config:
    """Read the file; without one, every choice is the default.

    Raises:
        InvalidConfig: It cannot be read, or says what cannot be; with its path, and the line or the key.
    """
    file = config_file()
    try:
        if file is None or not file.exists():
            return Config()
        if not file.is_file():  # to read a pipe would take for ever
            raise InvalidConfig(f"{file} is no regular file")
        written = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Config()
    except OSError as error:
        raise InvalidConfig(f"{file} cannot be read: {error.strerror}") from error
    try:
        return parse(written)
    except ValueError as error:
        raise InvalidConfig(f"{file}: {error}") from None


def parse(written: bytes) -> Config:
    """Return the choices that a file's content makes.

    Raises:
        ValueError: It is no TOML, or a key or value is not known; the message says which.

    >>> parse(b'times = "local"').times
    'local'
    """
    import tomllib  # noqa: PLC0415  # most people have no such file

    try:
        given = tomllib.loads(written.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = written.count(b"\n", 0, error.start) + 1
        raise ValueError(f"not UTF-8 (at line {line})") from None
    except RecursionError:
        raise ValueError("values in values, too deep to be read") from None
    known = [one.name for one in fields(Config)]
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"{reprlib.repr(name)} is no key; the keys are {', '.join(known)}")
        if wrong := _wrong(name, value):
            raise ValueError(f"{name} = {reprlib.repr(value)}: {wrong}")
    columns = given.get("columns", COLUMNS)
    return Config(**{**given, "columns": tuple(name for name in COLUMNS if name in {"seq", *columns})})


def _wrong(name: str, value: Any) -> str:
    """Return what a value should be, or nothing."""
    match name:
        case "color" | "times" if value not in _CHOICES[name]:
            return f"must be one of {', '.join(_CHOICES[name])}"
        case "theme" if not isinstance(value, str):
            return "must be the name of a theme, in quotes"
        case "columns" if not (isinstance(value, list) and all(one in COLUMNS for one in value)):
            return f"must be a list of {', '.join(COLUMNS)}"
        case "remember" if not isinstance(value, bool):
            return "must be true or false"
        case "keys" if not (isinstance(value, dict) and all(isinstance(key, str) for key in value.values())):
            return 'must be lines such as "journal.retry" = "f5"'
    return ""
