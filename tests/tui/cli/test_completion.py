"""Completion, as the shells' scripts ask for it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recorder import Recorder

DOCUMENTED = Path(__file__).parents[3] / "docs" / "settings.md"


@pytest.fixture
def completed(restante, journal):
    """The words that Bash is offered, the last one begun."""
    with Recorder("T", journal) as recorder:
        for profile in ("ada@example.org", "adam", "bob", "ada lovelace; rm -rf"):
            recorder.people_set(profile, {"plan": "pro"})

    def ask(*words, of="bash"):
        asked = {
            "_RESTANTE_COMPLETE": f"{of}_complete",
            "COMP_WORDS": " ".join(["restante", *words]),
            "COMP_CWORD": str(len(words)) if of == "bash" else words[-1],
        }
        ran = restante(environment=asked)
        assert (ran.code, ran.err) == (0, "")
        return [line.partition(",")[2] for line in ran.out.splitlines() if line] if of == "bash" else ran.out

    return ask


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["re"], ["record", "relay", "retry"]),
        (["--color", "a"], ["auto", "always"]),
        (["entries", "st"], ["state=", "status="]),
        (["entries", "lan"], ["lane=people", "lane=groups", "lane=events", "lane=imports"]),
        (["entries", "state", "=", "re"], ["rejected"]),
        (["entries", "op=add", "state!", "=", "waiting,in"], ["waiting,in_doubt"]),
        (["entries", "-j", "kiosk.db", "profile", "=", "ada"], ["ada@example.org", "adam"]),
        (["entries", "-j", "kiosk.db", "pro"], ["profile=ada@example.org", "profile=adam", "profile=bob"]),
        (["retry", "op", "=", "un"], ["unset", "union"]),
        (["profiles", "-j", "kiosk.db", "b"], ["bob"]),
        (["forget", "-j", "nowhere.db", "b"], []),
        (["status", "-j", "k"], ["kiosk.db"]),
        (["status", "-j", "x"], ["x"]),  # any file: the shell looks for it
    ],
    ids=" ".join,
)
def test_words_are_completed(completed, words, offered):
    assert sorted(completed(*words)) == sorted(offered)


def test_equals_sign_offers_values(completed):
    """Bash tells nothing of the sign itself where it ends the line."""
    assert completed("entries", "state", "=")[:2] == ["pending", "sending"]


def test_fish_is_told_what_words_mean(completed):
    assert "plain,status=\tthe HTTP status of the answer" in completed("entries", "stat", of="fish")


@pytest.mark.long
def test_documented_line_works_in_bash(tmp_path):
    bash = shutil.which("bash") or pytest.skip("there is no bash")
    (line,) = (line for line in DOCUMENTED.read_text("utf-8").splitlines() if "bash_source" in line)
    script = f"""{line.partition("#")[0]}
    COMP_WORDS=(restante rela) COMP_CWORD=1
    _restante_completion restante
    echo "${{COMPREPLY[*]}}" """
    (tmp_path / "restante").symlink_to(Path(sys.executable).with_name("restante"))
    done = subprocess.run(
        [bash, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert done.stdout == "relay\n"
