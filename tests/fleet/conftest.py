import pytest

from tests.fleet.site import Site


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)
