"""What is public: every name of a package's `__all__`, and no other."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import recorder
import simulator


@pytest.mark.parametrize("package", [recorder, simulator], ids=["recorder", "simulator"])
def test_every_public_name_is_there_in_order_and_documented(package):
    assert sorted(package.__all__) == sorted(set(package.__all__))
    for name in package.__all__:
        member = getattr(package, name)
        assert not name.startswith("_")
        assert inspect.getdoc(member), name


@pytest.mark.parametrize("package", [recorder, simulator], ids=["recorder", "simulator"])
def test_no_class_or_function_is_public_by_accident(package):
    visible = {
        name
        for name, member in vars(package).items()
        if not name.startswith("_") and (inspect.isclass(member) or inspect.isfunction(member))
    }
    assert visible <= set(package.__all__)


@pytest.mark.parametrize("package", [recorder, simulator], ids=["recorder", "simulator"])
def test_every_public_method_says_what_it_means(package):
    for name in package.__all__:
        member = getattr(package, name)
        if not inspect.isclass(member):
            continue
        for method, function in vars(member).items():
            if not method.startswith("_") and (
                inspect.isfunction(function) or isinstance(function, property)
            ):
                assert inspect.getdoc(getattr(member, method)), f"{name}.{method}"


def imported(body):
    """The rooms that these statements import from, and the names they take."""
    return {
        node.module.removeprefix("recorder."): tuple(sorted(alias.name for alias in node.names))
        for node in body
        if isinstance(node, ast.ImportFrom) and node.module.startswith("recorder.")
    }


def test_what_is_imported_later_is_what_a_type_checker_sees():
    body = ast.parse(Path(recorder.__file__).read_text(encoding="utf-8")).body
    (seen_only_by_checkers,) = (node for node in body if isinstance(node, ast.If))
    later = imported(seen_only_by_checkers.body)
    assert {room: tuple(sorted(names)) for room, names in recorder._LATER.items()} == later
    names = [name for names in (*imported(body).values(), *later.values()) for name in names]
    assert sorted(names) == sorted(recorder.__all__)


FIRST = """
import importlib, sys
import recorder
rooms = {name: f"recorder.{room}" for name, room in recorder._ROOMS.items()}
public = recorder.__all__
for first in sys.argv[1:]:
    for loaded in [name for name in sys.modules if name.partition(".")[0] == "recorder"]:
        del sys.modules[loaded]
    importlib.import_module(f"recorder.{first}")
    package = sys.modules["recorder"]
    for name in public:
        member = getattr(package, name)
        assert type(member) is not type(sys), (first, name)
        if name in rooms:
            assert member is vars(sys.modules[rooms[name]])[name], (first, name)
print("each")
"""


def test_each_name_is_the_right_thing_whichever_room_was_imported_first():
    rooms = sorted(
        ".".join(file.relative_to(recorder.__path__[0]).with_suffix("").parts)
        for file in Path(recorder.__path__[0]).rglob("*.py")
        if file.stem != "__init__"
    )
    assert not {*rooms} & {*recorder.__all__}
    done = subprocess.run(
        [sys.executable, "-c", FIRST, *rooms], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == ("each\n", "")


def test_a_name_that_is_none_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'Recorders'"):
        recorder.Recorders  # noqa: B018  # asking is what is tested
    assert {*recorder.__all__} <= {*dir(recorder)}
