"""What a program asked of the system, in order: strace runs it, and its log is read back."""

import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# All that may change a file, its name, or what a descriptor stands for. "?" is for calls that some
# architectures do not have. mmap is here so that a model can refuse files that are written through memory.
CALLS = (
    "?open,openat,?openat2,?creat,close,lseek,write,pwrite64,writev,pwritev,?pwritev2,?truncate,ftruncate,"
    "fallocate,fsync,fdatasync,sync_file_range,sync,syncfs,?rename,?renameat,?renameat2,?unlink,unlinkat,"
    "?link,linkat,mmap,dup,?dup2,dup3,?copy_file_range,?sendfile"
)
_LONGEST = 4_000_000  # bytes of a string; strace marks a longer one, and reading the log fails then

_WHOLE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\w+)")
_CUT = re.compile(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)\) += (-?\w+)")
_ARGUMENT = re.compile(r'"([^"]*)"(\.\.\.)?|([^", ][^",]*)')

_COMMAND = ("strace", "-f", "--seccomp-bpf", "-xx", "-s", str(_LONGEST), "-e", f"trace={CALLS}")


@dataclass(slots=True)
class Call:
    """A system call of a thread.

    Attributes:
        name: Of the call.
        arguments: Strings as bytes, all else as strace writes it.
        result: What it returned, negative when it failed; None while it is under way.
    """

    name: str
    arguments: list[bytes | str]
    result: int | None = None


@functools.cache
def why_not() -> str:
    """Why programs cannot be traced here; empty where they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with tempfile.NamedTemporaryFile() as log:
        tried = subprocess.run(
            [*_COMMAND, "-o", log.name, "true"], capture_output=True, text=True, check=False, timeout=60
        )
    return "" if tried.returncode == 0 else f"strace may not trace here: {tried.stderr.strip()[-200:]}"


def run(command: list[str], log: Path) -> None:
    """Run a program to its end and log what it asks of the system."""
    subprocess.run([*_COMMAND, "-o", str(log), *command], check=True, timeout=600, stdout=subprocess.DEVNULL)


def read(log: Path) -> Iterator[tuple[str, Call]]:
    """Each call twice: ``begins``, without its result, and ``ends``.

    A thread goes on only after strace has seen its call end, so what one thread did because of another's
    call stands below that call's end.
    """
    under_way: dict[str, tuple[str, str]] = {}
    begun: dict[str, Call] = {}
    with log.open(encoding="ascii") as lines:
        for line in lines:
            if match := _WHOLE.match(line):
                _, name, arguments, result = match.groups()
                call = Call(name, _parsed(arguments))
                yield "begins", call
                call.result = _number(result)
                yield "ends", call
            elif match := _CUT.match(line):
                thread, name, arguments = match.groups()
                under_way[thread] = name, arguments
                begun[thread] = Call(name, _parsed(arguments))
                yield "begins", begun[thread]
            elif match := _RESUMED.match(line):
                thread, rest, result = match.groups()
                call = begun.pop(thread)
                name, arguments = under_way.pop(thread)
                call.arguments = _parsed(arguments + rest)
                call.result = _number(result)
                yield "ends", call
            else:  # the end of a thread, a signal, or what it was in when the process ended
                assert re.match(r"\d+ +(\+\+\+|---|<\.\.\. |\w+\(.*= \?$)", line), line[:200]


def _parsed(arguments: str) -> list[bytes | str]:
    parsed: list[bytes | str] = []
    for text, cut, plain in _ARGUMENT.findall(arguments):
        assert not cut, "a string of the log is not whole"
        parsed.append(plain or bytes.fromhex(text.replace("\\x", "")))
    return parsed


def _number(result: str) -> int:
    return int(result, 0) if result != "?" else -1
