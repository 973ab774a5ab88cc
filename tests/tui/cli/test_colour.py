"""`--color` and NO_COLOR: colours where a person looks, and nowhere else."""

import pytest

from tests.tui.terminal import Terminal
from tui.cli.colour import painted
from tui.text.format import printable

RED = "\x1b[31m"


@pytest.mark.parametrize(
    ("options", "environment", "coloured"),
    [
        ([], {}, False),  # a pipe
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),  # what is typed is nearer
        (["--color", "never"], {}, False),
    ],
)
def test_pipes_are_coloured_when_asked(restante, options, environment, coloured):
    for command in ("status", "nonsense"):  # an error of ours, and one of its usage
        ran = restante(*options, command, environment=environment)
        assert (ran.code, f"{RED}Error:" in ran.err, "\x1b" in ran.err) == (2, coloured, coloured)


@pytest.mark.parametrize(
    ("options", "environment", "coloured"),
    [
        ([], {}, True),
        ([], {"NO_COLOR": ""}, True),  # as https://no-color.org has it
        ([], {"NO_COLOR": "1"}, False),
        ([], {"TERM": "dumb"}, False),
        (["--color", "never"], {}, False),
    ],
)
def test_terminals_are_coloured_unless_told(restante, journal, options, environment, coloured):
    terminal = Terminal()
    restante(*options, "status", "-j", journal, environment=environment, stderr=terminal)
    shown = " ".join(terminal.getvalue().split())  # where it wraps depends on the path
    assert ("there is no journal" in shown, RED in shown) == (True, coloured)


def test_user_data_never_styles():
    parts = ("\x1b[7mada ", ("\x1b[5mlate", "$text-error"))
    assert painted(parts, printable) == "\\x1b[7mada \x1b[31m\\x1b[5mlate\x1b[0m"
