"""Completed words are filters, and mistakes are told."""

import pytest

from recorder.model.filters import KEYS, VALUES
from tui.text.filter_words import begun, begun_id, completions, refusal
from tui.text.rows import words_of


def test_completions_of_nothing_are_all_keys():
    assert {found.word for found in completions("")} == {f"{key}=" for key in KEYS}


@pytest.mark.parametrize("key", VALUES)
def test_completed_values_are_filters(key):
    for sign in ("=", "!="):
        for found in completions(key + sign):
            assert not refusal(found.word)
    assert not completions(f"{key}=nonsense")


def test_counts_stand_beside_states():
    found = [each.shown for each in completions("state=", counts={"pending": 0, "rejected": 1_204})]
    assert [shown for shown in found if shown[-1].isdigit()] == ["rejected 1,204", "pending 0"]


def test_chosen_values_are_not_offered():
    assert "rejected" not in [each.shown for each in completions("state=rejected,")]


@pytest.mark.parametrize("who", ["ada", "Ada Lovelace", "a\\b", 'say "hi"', "名前-7", "a=b"])
def test_completed_ids_are_read_back(who):
    (found,) = completions("profile=", profiles=[(who, 3)])
    assert words_of(found.word) == [f"profile={who}"]
    assert begun(f"op=add {found.word}")[1] == found.word
    assert begun_id(found.word) == who


@pytest.mark.parametrize("who", ["O'Hara", "\x1b[31m", "\u202eabc"])
def test_untypable_ids_are_left_out(who):
    assert completions("profile=", profiles=[(who, 3)]) == []
