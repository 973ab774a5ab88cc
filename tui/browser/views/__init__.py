"""The three views of the browser."""
