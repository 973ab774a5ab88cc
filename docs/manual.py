"""The manual page, docs/restante.1, from the texts of ``--help``: `make man` writes it anew, and wheels carry it."""

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

import recorder
from tui.cli.command import GROUPS, restante

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).with_name("restante.1")
VARIABLES = {
    "NO_COLOR": "If it is set, nothing has colours.",
    "RESTANTE_IMPORT_CREDENTIALS": "user:password[:project_id] for /import.",
    "RESTANTE_QUERY_CREDENTIALS": "user:secret[:project_id] of a service account that may read profiles.",
}
FILES = {
    "~/.config/restante/config.toml": "Colours, theme, times, columns, keys.",
    "~/.local/state/restante": "The last view and filter of each journal that was browsed.",
}


def page() -> str:
    """Return the page, in the language of man(7); the same for the same version and texts."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    with click.Context(restante, info_name="restante", **restante.context_settings) as context:
        yield f'.TH RESTANTE 1 "" "restante {recorder.__version__}" "User commands"'
        yield ".SH NAME"
        yield _plain(f"restante - {restante.get_short_help_str(limit=200).rstrip('.').lower()}")
        yield from (".SH SYNOPSIS", _plain(_usage(context)), ".SH DESCRIPTION", *_paragraphs(restante))
        yield from (".SH OPTIONS", *_options(context))
        variables = set(VARIABLES.items())
        for title, names in GROUPS.items():
            yield f'.SH "{_plain(title).upper()}"'
            for name in names:
                _, command, _ = restante.resolve_command(context, [name])
                if command is not None:
                    with click.Context(command, parent=context, info_name=name) as inner:
                        yield f'.SS "{_plain(_usage(inner))}"'
                        yield from (*_paragraphs(command), *_options(inner))
                        variables |= set(_variables(inner))
        yield from (
            ".SH ENVIRONMENT",
            *_terms(sorted(variables)),
        )
        yield from (".SH FILES", *_terms(FILES.items()))


def _usage(context: click.Context) -> str:
    return " ".join((context.command_path, *context.command.collect_usage_pieces(context)))


def _options(context: click.Context) -> Iterator[str]:
    """Return the options; --help, which all have, stands with those of the whole."""
    options = [one for one in context.command.get_params(context) if isinstance(one, click.Option)]
    records = (
        one.get_help_record(context) for one in options if context.parent is None or "--help" not in one.opts
    )
    return _terms(record for record in records if record is not None)


def _variables(context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in context.command.get_params(context):
        if isinstance(parameter.envvar, str):
            yield parameter.envvar, f"As {parameter.opts[-1]}."


def _terms(terms: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, sentence in terms:
        yield from (".TP", f".B {_plain(name)}", _plain(sentence))


def _paragraphs(command: click.Command) -> Iterator[str]:
    """Yield the text; a paragraph with click's mark for it keeps its lines, as on the screen."""
    for paragraph in re.split(r"\n{2,}", inspect.cleandoc(command.help or "")):
        if paragraph.startswith("\b\n"):
            yield from (".PP", ".nf", *map(_plain, paragraph.splitlines()[1:]), ".fi")
        else:
            yield from (".PP", _plain(" ".join(paragraph.split())))


def _plain(text: str) -> str:
    """Return text that is no request: with roff's own signs spelled out."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
