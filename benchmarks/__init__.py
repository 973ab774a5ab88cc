"""Figures, each next to a baseline of the same run: ``make bench``."""
