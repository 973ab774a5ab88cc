"""Ctrl-C while `restante ship` waits for an answer."""

import signal
import subprocess
import sys
import time

from recorder import JournalReader, Recorder
from simulator.service.server import Service

SHIP = [sys.executable, "-c", "from tui.cli import main; main()", "ship"]


def test_ctrl_c_leaves_nothing_in_doubt(tmp_path):
    path = tmp_path / "kiosk.db"
    with Recorder("T", path) as recorder, recorder.batch() as batch:
        for _ in range(250):
            batch.people_increment("ada", {"n": 1})
    with (
        Service(faults=[{"at": 1, "fault": "slow", "seconds": 1.5}]) as service,
        JournalReader(path) as reader,
    ):
        ship = subprocess.Popen([*SHIP, "-j", path, "--url", service.url], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while reader.counts().sending == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        ship.send_signal(signal.SIGINT)
        told = ship.communicate(timeout=30)[1]
        counts = reader.counts()
        assert service.profiles() == {"ada": {"n": 200}}
    assert ship.returncode == 130
    assert "Ctrl-C again" in told
    assert "Interrupted: 50 entries still to be sent.\n" in told
    assert (counts.shipped, counts.pending, counts.in_doubt, counts.sending) == (200, 50, 0, 0)
