"""The browser in a real terminal: tmux starts it, presses keys, and reads what shows.

    .venv/bin/python tests/tui/browser/drive.py [COLUMNSxROWS]

Opens a journal with a rejected entry, filters, goes to a profile and through it, retries the entry, quits, and
prints each screen. `tests/tui/browser/test_terminal.py` runs the same. Without tmux it says so and ends with 77.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from difflib import unified_diff
from itertools import count
from pathlib import Path

from rich.cells import cell_len

from recorder import JournalReader, Recorder, State
from tui.browser.keys import BINDINGS

PROGRAM = "import sys; sys.argv[0] = 'restante'; from tui.cli import main; main()"
PATIENCE = 60.0
SKIPPED = 77
_NUMBERS = count()
_MOMENT = 6  # looks, a twentieth of a second apart


class Terminal:
    """A tmux server of its own, with one window."""

    def __init__(self, folder, size):
        self._socket = str(Path(folder) / f"tmux{next(_NUMBERS)}")
        # A person's own settings, and what was remembered before, show nothing here.
        self._environment = os.environ | dict.fromkeys(("XDG_CONFIG_HOME", "XDG_STATE_HOME"), str(folder))
        for name in ("COLUMNS", "LINES"):  # they would count for more than the window's size
            self._environment.pop(name, None)
        self._size = size

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._tmux("kill-server", check=False)

    def _tmux(self, *arguments, check=True):
        done = subprocess.run(
            [shutil.which("tmux") or "tmux", "-S", self._socket, "-f", os.devnull, *arguments],
            check=check,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
            env=self._environment,
        )
        return done.stdout

    def run(self, *command):
        """Start a command; the window stays when it has ended, and shows with which code."""
        columns, rows = self._size
        line = f"{shlex.join(map(str, command))}; echo ended with $?; sleep {PATIENCE:.0f}"
        self._tmux("-u", "new-session", "-d", "-x", str(columns), "-y", str(rows), line)

    def press(self, *keys):
        """Keys by tmux's names; text with -l."""
        self._tmux("send-keys", *keys)

    def resize(self, size):
        columns, rows = self._size = size
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def click(self, words, *, last=False):
        """Click on the first line, or the last one, that shows some words."""
        lines = self.screen()
        row = (max if last else min)(place for place, line in enumerate(lines) if words in line)
        where = f"{cell_len(lines[row].partition(words)[0]) + 1};{row + 1}"
        self.press("-l", f"\x1b[<0;{where}M\x1b[<0;{where}m")  # pressed and let go, as xterm tells it

    def screen(self, *options):
        """The screen's text; with -e its colours, too."""
        return self._tmux("capture-pane", "-p", *options).splitlines()

    def modes(self):
        """What a program may leave behind."""
        text = "alternate #{alternate_on}, cursor #{cursor_flag}, mouse #{mouse_any_flag}"
        return self._tmux("display-message", "-p", text).strip()

    def wait(self, words, *, gone=False):
        """The screen once it shows some words, or does not any more."""
        deadline = time.monotonic() + PATIENCE
        while True:
            lines = self.screen()
            if any(words in line for line in lines) is not gone:
                return lines
            if time.monotonic() > deadline:
                raise AssertionError(f"in vain waited for {words!r}:\n" + "\n".join(lines))
            time.sleep(0.05)


def make_journal(path, ago=0.0):
    """A day with one bad entry: number 5 was rejected when it was recorded."""
    with Recorder("T", path, on_invalid="reject", clock=lambda: time.time() - ago) as recorder:
        for n in range(1, 5):
            recorder.people_set("ada", {"plan": f"plan {n}"})
        recorder.people_increment("ada", {"credits": 5})
        for n in range(60):
            recorder.people_append(f"u-{n}", {"seen": f"kiosk {n}"})
    with JournalReader(path) as reader:
        assert reader.counts().pending == 65
    # As a service would have it that found number 5 wrong.
    import sqlite3

    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(
        "INSERT INTO attempts (lane, epoch, first, last, updates, bytes, digest, started_at, ended_at, outcome, status,"
        " words, times) VALUES ('people', 1, 5, 5, 1, 90, '', ?, ?, 'refused', 400, 'not numeric', 1)",
        (time.time() - ago,) * 2,
    )
    connection.execute(
        "UPDATE entries SET state = 'rejected', reason = 'not numeric', attempt = 1 WHERE seq = 5"
    )
    connection.execute("UPDATE counters SET entries = 1 WHERE account = 'rejected'")
    connection.close()


def _silent(*_):
    """Show nothing."""


def drive(folder, size=(80, 24), show=_silent):
    """Open, filter, step through a profile, retry a rejected entry, quit."""
    path = Path(folder) / "kiosk.db"
    make_journal(path)
    with Terminal(folder, size) as terminal:
        terminal.run(sys.executable, "-c", PROGRAM, "tui", "-j", path, "--write")
        show("home", terminal.wait("1 THING NEEDS YOU"))
        terminal.press("1")
        show("journal", terminal.wait("all 65"))
        terminal.press("/")
        terminal.press("-l", "profile=ada op!=add")
        terminal.press("Enter")
        show("filtered", terminal.wait("4 of 65 match"))
        terminal.press("p")
        show("a profile", terminal.wait("at 4 of 4"))  # keys lead nowhere before it is read
        terminal.press("[")
        terminal.press("[")
        show("two steps back", terminal.wait("at 2 of 4"))
        terminal.press("1")
        terminal.wait("4 of 65 match")  # the last line of that view to come: "esc clears" is awaited gone
        terminal.press("Escape")
        terminal.wait("esc clears", gone=True)
        terminal.press("e")
        terminal.wait("►  5")
        terminal.press("Enter")
        show("the rejected entry", terminal.wait("not numeric"))
        terminal.press("R")
        show("the question", terminal.wait("Retry 1 entry, #5?"))
        terminal.press("y")
        show("retried", terminal.wait("1 entry will be sent again."))
        terminal.press("Escape")
        terminal.wait("payload", gone=True)  # a key right after it would be Alt and that key, to a terminal
        terminal.press("q")
        show("ended", terminal.wait("ended with 0"))
    with JournalReader(path) as reader:
        assert reader.entry(5).state is State.PENDING


SIZES = ((120, 36), (80, 24), (200, 60), (60, 15))


VIEWS = [binding.key for binding in BINDINGS["app"] if binding.action.startswith("view(")]


def walk(folder, show=_silent):
    """Show every view at each size, by its key where the browser began so, and by a click where it came to that size.

    Both must show the same: what is left over from another size, or was not drawn anew, is seen.
    """
    path = Path(folder) / "kiosk.db"
    make_journal(path, ago=5 * 86_400.0)  # ages do not change meanwhile
    command = (sys.executable, "-c", PROGRAM, "tui", "-j", path, "--write")
    with Terminal(folder, (60, 15)) as resized:
        resized.run(*command)
        resized.wait("? help")
        for size in SIZES:
            resized.resize(size)
            with Terminal(folder, size) as begun:
                begun.run(*command)
                begun.wait("? help")
                for key in VIEWS:
                    begun.press(key)
                    resized.click(f"{key} ")
                    lines = _agreed(begun, resized, f"[{key} ")
                    assert len(lines) == size[1]
                    assert max(map(cell_len, lines)) <= size[0]
                    assert "Traceback" not in "\n".join(lines)
                    show(f"view {key} at {size[0]}x{size[1]}", lines)
                resized.click(f"{VIEWS[1]} ")
                resized.wait(" SEQ ")
                resized.click("rej", last=True)
                show("the tab of rejected entries", resized.wait("►  5"))
                resized.click("all 65")
                resized.click("? help", last=True)
                show("help", resized.wait("Help "))
                resized.press("Escape")
                resized.wait("? help")


def _agreed(begun, resized, head):
    """Return the screen of two terminals, once it is the same for a moment, with a view's head and the line of keys."""
    deadline, agreed = time.monotonic() + PATIENCE, 0
    while agreed < _MOMENT:
        lines, other = begun.screen(), resized.screen()
        agreed = agreed + 1 if lines == other and head in lines[0] and "? help" in lines[-1] else 0
        if time.monotonic() > deadline:
            raise AssertionError("\n".join(unified_diff(lines, other, "begun", "resized", lineterm="", n=0)))
        time.sleep(0.05)
    return lines


def end(folder, how, code, *, size=(80, 24)):
    """Open, end it from outside with a signal, and see that the terminal is as it was."""
    path, pid = Path(folder) / "kiosk.db", Path(folder) / "pid"
    make_journal(path)
    with Terminal(folder, size) as terminal:
        tells = f"import os, pathlib; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); {PROGRAM}"
        terminal.run(sys.executable, "-c", tells, "tui", "-j", path)
        terminal.wait("1 THING NEEDS YOU")
        os.kill(int(pid.read_text()), how)
        terminal.wait(f"ended with {code}")
        assert terminal.modes() == "alternate 0, cursor 1, mouse 0"


def quit_while_shipping(folder, url, answered, *, size=(80, 24)):
    """Ship to a service that takes its time, and quit: the terminal is back before the answer is there."""
    path = Path(folder) / "kiosk.db"
    make_journal(path)
    with Terminal(folder, size) as terminal:
        terminal.run(sys.executable, "-c", PROGRAM, "tui", "-j", path, "--write", "--url", url)
        terminal.wait("1 THING NEEDS YOU")
        terminal.press("s")
        terminal.wait("now?")
        terminal.press("y")
        terminal.wait("Shipping …")
        terminal.press("C-c")
        terminal.wait("Waiting for the current change to finish")
        assert terminal.modes() == "alternate 0, cursor 1, mouse 0"
        answered.set()
        terminal.wait("ended with 0")
    with JournalReader(path) as reader:
        return reader.counts()


def main():
    if shutil.which("tmux") is None:
        print("skipped: there is no tmux")
        return SKIPPED
    size = tuple(map(int, (sys.argv[1] if len(sys.argv) > 1 else "80x24").split("x")))
    with tempfile.TemporaryDirectory() as folder:
        drive(folder, size, lambda title, lines: print(f"--- {title}", *lines, sep="\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
