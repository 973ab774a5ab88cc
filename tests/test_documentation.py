"""Examples in docstrings run, links lead somewhere, and the pages name what is there. test_readme.py runs the pages."""

import doctest
import importlib
import itertools
import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest

import fleet
import recorder
import simulator
import tui
from simulator.testing import machines, suite
from tui.cli import restante as command

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *DOCS]
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def text_of(page):
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("package", [recorder, simulator, fleet, tui], ids=lambda package: package.__name__)
def test_docstring_examples_run(package, tmp_path, monkeypatch):
    """With few of Hypothesis's examples: the recipes run with all of them, in `make test-all`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machines, "_EXAMPLES", 5)
    monkeypatch.setattr(suite, "_EXAMPLES", 5)
    tried = 0
    for path in Path(*package.__path__).rglob("*.py"):
        if ">>> " in text_of(path):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            failed, attempted = doctest.testmod(importlib.import_module(name))
            assert failed == 0, name
            tried += attempted
    assert tried >= 10


RECIPES = BLOCK.findall(text_of(ROOT / "docs" / "testing.md"))
FEW = """
from hypothesis import HealthCheck, settings
from simulator.testing import machines, suite

machines._EXAMPLES = suite._EXAMPLES = 10
slow = [HealthCheck.too_slow]  # as a busy machine is
settings.register_profile("few", deadline=None, suppress_health_check=slow, max_examples=10)
settings.load_profile("few")
"""


@pytest.mark.long
def test_recipes_pass(tmp_path):
    """Each recipe of docs/testing.md passes in a project that has nothing else."""
    (tmp_path / "conftest.py").write_text(FEW, encoding="utf-8")
    for place, recipe in enumerate(RECIPES, 1):
        (tmp_path / f"test_recipe_{place}.py").write_text(recipe, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_recipes_are_five():
    assert len(RECIPES) == 5


@EACH_PAGE
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.is_relative_to(ROOT), target
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def anchors(page):
    """The anchors that a forge gives to headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@EACH_PAGE
def test_named_pages_are_linked(page):
    """A page that names another one links to it."""
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    assert (
        re.findall(r"(?<![\w\[./-])(?:docs/)?[\w-]+\.md\b", re.sub(r"\[[^\]]*\]\([^)]*\)", "", prose)) == []
    )


def test_pages_name_existing_methods():
    """Names in backticks that look like ours are ours."""
    text = "\n".join(text_of(page) for page in PAGES)
    for verb in {*re.findall(r"`(?:recorder\.|mp\.)?((?:people|group)_\w+)`", text)} - {
        "group_key",
        "group_id",
    }:
        assert hasattr(recorder.PeopleApi, verb), verb


def test_reference_lists_every_operation():
    named = set(re.findall(r"`(\w+)", text_of(ROOT / "docs" / "reference.md")))
    assert {verb for verb in vars(recorder.PeopleApi) if verb.startswith(("people_", "group_"))} <= named


def test_pages_name_existing_commands():
    """Each `restante …` in a shell block or in backticks is a command with these options."""
    text = "\n".join(text_of(page) for page in PAGES)
    code = re.findall(r"^restante .*", "\n".join(SHELL.findall(text)), re.MULTILINE)
    code += re.findall(r"^    restante \w+(?: .*)?$", text, re.MULTILINE) + re.findall(
        r"`(restante \w[^`]*)`", text
    )
    for line in code:
        name, *words = line.split("#")[0].split()[1:]
        named = command.get_command(click.Context(command), name)
        assert named is not None, line
        known = {*itertools.chain(*(one.opts + one.secondary_opts for one in named.params))}
        given = {word.partition("=")[0] for word in words if re.fullmatch(r"--[a-z-]+", word)}
        assert given <= known | {"--help"}, line


def test_pages_name_existing_targets():
    """Each `make …` in a page or in the CI configuration is a target."""
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    files = [*PAGES, *ROOT.glob(".github/**/*.md"), *ROOT.glob(".github/**/*.yml")]
    named = {
        name
        for file in files
        for name in re.findall(r"(?:`|^|run: )make ([a-z-]+)", text_of(file), re.MULTILINE)
    }
    assert "test" in named
    assert named <= targets


def test_sdk_versions_are_those_tested():
    """Those of the SDKs that tests/contract runs."""
    page = text_of(ROOT / "docs" / "sdks.md")
    told = dict(
        re.findall(
            r"^\| \[(Python|mixpanel-utils|Node|browsers)\]\(#[\w-]+\) \| ([\d.]+)", page, re.MULTILINE
        )
    )
    packages = json.loads(text_of(ROOT / "tests" / "contract" / "sdks" / "package.json"))["dependencies"]
    assert told == {
        "Python": version("mixpanel"),
        "mixpanel-utils": version("mixpanel-utils"),
        "Node": packages["mixpanel"],
        "browsers": packages["mixpanel-browser"],
    }


def test_format_names_tables_and_files():
    page = text_of(ROOT / "docs" / "journal-format.md")
    schema = text_of(ROOT / "recorder" / "journal" / "schema.sql")
    code = "\n".join(text_of(path) for path in ROOT.glob("recorder/**/*.py"))
    names = re.findall(r"^CREATE (?:TABLE|VIEW) (?!carried|open_attempt)(\w+)", schema, re.MULTILINE)
    suffixes = re.findall(r'beside\(\w+, "(\.\w+)"\)', code)
    assert len(names) >= 10
    assert len(suffixes) >= 4
    for name in [*names, *recorder.State]:
        assert f"`{name}`" in page, name
    for suffix in suffixes:
        assert f".db{suffix}`" in page, suffix


NAMED = re.compile(
    r"`?((?:recorder|simulator|tui|parity|crash|contract)/(?:\w+/)*test_\w+\.py)(?:::(\w+))?`?"
)


def test_evidence_names_existing_tests():
    named = NAMED.findall(" ".join(text_of(ROOT / "docs" / "evidence.md").split()))
    assert len(named) >= 30
    for file, test in named:
        path = ROOT / "tests" / file
        assert path.exists(), file
        assert not test or f"def {test}(" in text_of(path), test
