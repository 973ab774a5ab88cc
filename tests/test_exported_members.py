"""Exports of each package: documented, importable, and nothing by accident."""

import ast
import inspect
from pathlib import Path

import pytest

import recorder
import restante
import simulator

PACKAGES = pytest.mark.parametrize(
    "package", [recorder, restante, simulator], ids=lambda package: package.__name__
)


@PACKAGES
def test_public_names_are_documented(package):
    for name in package.__all__:
        assert inspect.getdoc(getattr(package, name)), name


@PACKAGES
def test_public_methods_are_documented(package):
    for name in package.__all__:
        member = getattr(package, name)
        for method, function in vars(member).items() if inspect.isclass(member) else ():
            if not method.startswith("_") and (
                inspect.isfunction(function) or isinstance(function, property)
            ):
                assert inspect.getdoc(getattr(member, method)), f"{name}.{method}"


@PACKAGES
def test_exports_are_listed(package):
    visible = {
        name
        for name, member in vars(package).items()
        if not name.startswith("_") and (inspect.isclass(member) or inspect.isfunction(member))
    }
    assert visible <= set(package.__all__)


def test_recorder_exports_few_names():
    assert len(recorder.__all__) <= 30


def test_lazy_names_match_type_checkers():
    """A type checker and Python find each public name of `recorder` in the same module."""
    body = ast.parse(Path(recorder.__file__).read_text(encoding="utf-8")).body
    (checked,) = (node for node in body if isinstance(node, ast.If))
    assert {
        node.module.removeprefix("recorder."): tuple(sorted(alias.name for alias in node.names))
        for node in checked.body
    } == {module: tuple(sorted(names)) for module, names in recorder._MODULES.items()}
    assert sorted(recorder._MODULE_OF) == sorted(recorder.__all__)


def test_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'Recorders'"):
        recorder.Recorders  # noqa: B018  # asking is what is tested
    assert {*recorder.__all__} <= {*dir(recorder)}
