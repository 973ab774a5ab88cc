"""The blocks of README.md and of the pages in docs/ run as pasted: in order, in one folder, one shell a page.

A Python block whose first line is a file name, `# first.py`, is saved under it for later blocks; others run. A shell
block may say what it prints: `# prints: words`.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *(
        page
        for page in sorted((ROOT / "docs").glob("*.md"))
        if re.search("^```(sh|python)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        and page.name != "testing.md"  # recipes: pytest runs them
    ),
]
LONG = {
    "commands.md",
    "conformance.md",
    "exactly-once.md",
    "fleet.md",
    "local-service.md",
    "relay.md",
    "sdks.md",
}
BLOCK = re.compile(r"^```([\w{}-]*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_OURS = {"ini", "yaml", "text", "json", "sql", "js", "php", "ruby", "go", "java"}

# Blocks that do not run here, by their first line, each with its reason.
NOT_RUN = {
    "make demo": "installs from a package index; CI runs `make`, and tests/tui/cli runs the demo",
    "sqlite-utils query": "needs tools that restante does not install",
}
# Lines that run in another form here, each with its reason.
CHANGED = {
    "restante tui\n": "restante tui --screenshot screen.svg\n",  # no terminal here
}

GUARD = """
import sys

def refuse(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] != "127.0.0.1":
        raise RuntimeError(f"a page reaches for {arguments[1]}")
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", None):
        raise RuntimeError(f"a page looks up {arguments[0]}")

sys.addaudithook(refuse)
"""


@pytest.fixture
def environment(tmp_path):
    """No address but this machine's can be reached, and the default service is a closed port."""
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESTANTE_")}
    commands = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**kept, "PATH": commands, "PYTHONPATH": str(guard), "RESTANTE_URL": "http://127.0.0.1:9"}


@pytest.fixture
def ports():
    """Free ones, in place of those of the local service and the relay."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return {"8765": str(one.getsockname()[1]), "8766": str(other.getsockname()[1])}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page,
            id=str(page.relative_to(ROOT)),
            marks=[pytest.mark.long] if page.name in LONG else [],  # many starts of an interpreter
        )
        for page in PAGES
    ],
)
def test_page_runs_as_pasted(page, tmp_path, environment, ports):
    text = page.read_text(encoding="utf-8")
    script = "\n".join(["set -e -o pipefail", *(step(*block, ports) for block in BLOCK.findall(text))])
    folder = tmp_path / "folder"
    folder.mkdir()
    status, said = run(script, folder, environment)
    assert status == 0, said
    for words in re.findall(
        r"# prints: (.+)$", "\n".join(body for _, body in BLOCK.findall(text)), re.MULTILINE
    ):
        assert words in said


def step(language, body, ports):
    """One block as shell, with free ports; a server that it starts is waited for."""
    if language in NOT_OURS or language.startswith("{") or any(body.startswith(first) for first in NOT_RUN):
        return ""
    assert language in {"sh", "python"}, f"a block of unknown language {language!r}: {body}"
    for pasted, changed in CHANGED.items():
        body = body.replace(pasted, changed)
    started = ports[(re.search(r"--port (\d+).* &\n", body) or ["", "8765"])[1]]
    for port, free in ports.items():
        body = body.replace(port, free)
    if language == "sh":
        return body + (
            f"until (: < /dev/tcp/127.0.0.1/{started}) 2>/dev/null; do sleep 0.05; done"
            if " &\n" in body
            else ""
        )
    name = re.match(r"# (\w+\.py)\n", body)
    to = f"cat > {name[1]}" if name else f"{shlex.quote(sys.executable)} -"
    return f"{to} <<'END_OF_BLOCK'\n{body}END_OF_BLOCK"


def run(script, folder, environment):
    """Run it in a shell of its own, and end what it left running."""
    bash = shutil.which("bash") or pytest.skip("the pages' commands are written for a POSIX shell")
    (folder.parent / "page.sh").write_text(script, encoding="utf-8")
    shell = subprocess.Popen(
        [bash, str(folder.parent / "page.sh")],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = shell.communicate(timeout=300)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    return shell.returncode, said


def test_guard_refuses_other_addresses(environment):
    reach = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=1)"
    done = subprocess.run(
        [sys.executable, "-c", reach],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "a page looks up 192.0.2.1" in done.stderr


def test_left_out_blocks_exist():
    bodies = [body for page in PAGES for _, body in BLOCK.findall(page.read_text(encoding="utf-8"))]
    for first in NOT_RUN:
        assert any(body.startswith(first) for body in bodies), first
    for line in CHANGED:
        assert any(line in body for body in bodies), line


def test_readme_is_short_and_fenced():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 130
    assert not re.search(r"^    \S", BLOCK.sub("", text), re.MULTILINE), "an indented block would not be run"
