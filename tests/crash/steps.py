"""A program at a journal is killed at its system calls: strace does it from outside, at the n-th of a kind."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

PROJECT = Path(__file__).parents[2]
CALLS = "pwrite64,fdatasync,fsync,ftruncate"
SIDE_FILES = ("", "-wal", "-shm")


def copy(whole, folder):
    """The journal, with what stands beside it, in a folder."""
    for suffix in SIDE_FILES:
        source = whole.with_name(whole.name + suffix)
        if source.exists():
            shutil.copy(source, folder / source.name)
    return folder / whole.name


def run(program, *arguments, strace=()):
    """Run it to its end, or to the end that strace makes."""
    return subprocess.run(
        [*strace, sys.executable, "-c", program, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def steps_of(program, path, *arguments):
    """Each system call that it makes: which, and the how many-th of its kind."""
    log = path.with_name("log")
    strace = ("strace", "-f", "-o", log, "-e", f"trace={CALLS}")
    done = run(program, path, *arguments, strace=strace)
    assert done.returncode == 0, done.stderr
    lines = log.read_text(encoding="utf-8").splitlines()
    made = Counter(call for call in CALLS.split(",") for line in lines if f" {call}(" in line)
    assert made["pwrite64"] > 20
    return [(call, nth) for call in made for nth in range(1, made[call] + 1)]


def killed_at(call, nth, program, path, *arguments):
    """Kill it there, where it comes so far."""
    inject = f"inject={call}:signal=KILL:when={nth}"
    strace = ("strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject)
    killed = run(program, path, *arguments, strace=strace)
    assert killed.returncode in {0, -signal.SIGKILL, 128 + signal.SIGKILL}, killed.stderr
