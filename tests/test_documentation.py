"""Every example runs: docstrings, and the Python blocks of README.md and docs/."""

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import recorder
import simulator
import tui
from simulator.service.server import Service

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = [
    pytest.param(block, id=f"{page.name}-{place}")
    for page in PAGES
    for place, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), 1)
]
MODULES = [
    name
    for package in (recorder, simulator, tui)
    for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", ["recorder", "simulator", *MODULES])
def test_the_examples_in_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples_to_run():
    assert len(EXAMPLES) >= 4
    finder = doctest.DocTestFinder()
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) >= 40


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_in_the_pages_run(example, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", example.replace(":8765", ":9")],  # nobody listens there
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


RECIPES = BLOCK.findall((ROOT / "docs" / "testing.md").read_text(encoding="utf-8"))


EACH_RECIPE = pytest.mark.parametrize(
    "recipe", RECIPES, ids=[f"recipe-{place}" for place in range(1, len(RECIPES) + 1)]
)
FEW_EXAMPLES = """
import hypothesis

import simulator.testing.suite

simulator.testing.suite._EXAMPLES = 15
hypothesis.settings.register_profile("few", max_examples=15)
hypothesis.settings.load_profile("few")
"""


@EACH_RECIPE
def test_a_recipe_is_a_test_that_passes_in_an_empty_project(recipe, tmp_path):
    (tmp_path / "conftest.py").write_text(FEW_EXAMPLES, encoding="utf-8")
    passes(recipe, tmp_path)


@pytest.mark.long
@EACH_RECIPE
def test_a_recipe_passes_with_all_the_examples_that_are_the_default(recipe, tmp_path):
    passes(recipe, tmp_path)


def passes(recipe, tmp_path):
    """Run it as a project's only test."""
    (tmp_path / "test_recipe.py").write_text(recipe, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_there_are_five_recipes():
    assert len(RECIPES) == 5


def test_the_first_program_prints_what_the_readme_says(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    program = BLOCK.findall(readme)[0]

    def run(url):
        code = program.replace("http://127.0.0.1:8765", url)
        return subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()

    offline = run("http://127.0.0.1:9")
    with Service() as service:
        online = run(service.url)
    assert (offline, online) == ("offline 0 4", "done 8 0")
    assert f"`{offline}`" in readme
    assert f"`{online}`" in readme


def test_no_page_names_a_method_or_command_that_is_not_there():
    """Names in backticks that look like ours are ours."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for verb in set(re.findall(r"`(?:recorder\.|mp\.)?((?:people|group)_\w+)`", text)):
        assert hasattr(recorder.PeopleApi, verb), verb
    from tui.cli import restante

    for command in set(re.findall(r"`?restante (\w+)", text)):
        assert command in restante.commands, command


NAMED = re.compile(
    r"`?((?:recorder|simulator|tui|parity|crash|contract)/(?:\w+/)*test_\w+\.py)(?:::(\w+))?`?"
)


def test_the_tests_that_the_guarantees_name_are_there():
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    named = NAMED.findall(" ".join(page.split()))
    assert len(named) >= 30
    for file, test in named:
        path = ROOT / "tests" / file
        assert path.exists(), file
        assert not test or f"def {test}(" in path.read_text(encoding="utf-8"), test
