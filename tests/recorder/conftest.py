"""Journals and recorders in a temporary folder."""

import pytest

from recorder import Journal, Recorder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kiosk.db"


@pytest.fixture
def journal(path):
    with Journal(path, token="T") as opened:
        yield opened


@pytest.fixture
def recorder(journal):
    with Recorder("T", journal) as opened:
        yield opened
