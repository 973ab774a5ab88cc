"""In a real terminal, where there is tmux to make one: see drive.py."""

import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.tui.browser.drive import PROGRAM, Terminal, drive, end, make_journal, quit_while_shipping, walk

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux to make a terminal")


def test_terminal_session_from_filter_to_retry(tmp_path):
    drive(tmp_path)


@pytest.mark.long
def test_views_fit_every_terminal(tmp_path):
    walk(tmp_path)


@pytest.mark.long
def test_other_locale_draws_ascii(tmp_path):
    path = tmp_path / "kiosk.db"
    make_journal(path)
    with Terminal(tmp_path, (80, 10)) as terminal:
        environment = ("env", "PYTHONIOENCODING=latin-1", "TERM=screen")
        terminal.run(*environment, sys.executable, "-c", PROGRAM, "tui", "-j", path)
        shown = terminal.wait("1 THING NEEDS YOU")
    assert all(line.isascii() and "\\u" not in line for line in shown)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signal_restores_the_terminal(tmp_path, number, code):
    end(tmp_path, number, code)


@pytest.mark.long
def test_lost_terminals_leave_no_process(tmp_path):
    """Several, as it depends on which of two signals is seen first."""
    path = tmp_path / "kiosk.db"
    make_journal(path)
    masters, processes = [], []
    for _ in range(6):
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        command = (sys.executable, "-c", IN_OWN_SESSION + PROGRAM, "tui", "-j", path)
        processes.append(subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave))
        masters.append(master)
        os.close(slave)
    for master in masters:
        shown = b""
        while b"unsent" not in shown:
            shown += os.read(master, 65_536)
    for master in masters:
        os.close(master)
    assert [process.wait(30) for process in processes] == [129] * 6


IN_OWN_SESSION = "import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "


def test_quitting_while_shipping_sends_no_more(tmp_path):
    answered, bodies = threading.Event(), []

    class Slow(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            answered.wait(60)
            body = b'{"status": 1, "error": null}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Not on a test's screen."""

    with HTTPServer(("127.0.0.1", 0), Slow) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        counts = quit_while_shipping(tmp_path, f"http://127.0.0.1:{service.server_port}", answered)
        service.shutdown()
    assert (len(bodies), counts.shipped > 0, counts.in_doubt) == (1, True, 0)
