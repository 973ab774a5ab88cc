"""In a real terminal, where there is tmux to make one: see drive.py."""

import shutil

import pytest

from tests.tui.browser.drive import drive


@pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux to make a terminal")
def test_open_filter_step_through_a_profile_retry_and_quit_in_a_terminal(tmp_path):
    drive(tmp_path)
