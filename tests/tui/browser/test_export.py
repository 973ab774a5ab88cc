"""Files that the browser writes."""

import pytest

from recorder import RestanteError
from tui.browser.export import refusal, write


def test_export_never_writes_over_a_file(tmp_path):
    """It may have come after the name was checked."""
    file = tmp_path / "out.jsonl"
    file.write_text("mine")
    with pytest.raises(RestanteError, match="cannot be created: File exists"):
        write(str(file), ["{}"])
    assert file.read_text() == "mine"


def test_failed_export_leaves_no_file(tmp_path):
    file = tmp_path / "out.jsonl"
    with pytest.raises(ZeroDivisionError):
        write(str(file), (str(1 // number) for number in (1, 0)))
    assert not file.exists()


@pytest.mark.parametrize(
    ("name", "words"), [("", "give the name"), (".", "give the name"), ("none/x", "no folder none")]
)
def test_name_of_no_file_is_refused(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    assert words in refusal(name)
    assert not refusal("new.jsonl")
