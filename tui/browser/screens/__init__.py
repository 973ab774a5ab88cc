"""Screens that lie over the browser: questions, prompts, help. One a file."""
