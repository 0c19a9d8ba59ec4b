"""Decisions over finished runs."""
