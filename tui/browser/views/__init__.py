"""The views of the browser."""
