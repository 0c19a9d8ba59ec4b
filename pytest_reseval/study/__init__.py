"""Decisions over finished runs: what their records show, and what they do not."""
