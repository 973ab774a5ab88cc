"""What is public: every name of a package's `__all__`, and no other."""

import inspect

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
