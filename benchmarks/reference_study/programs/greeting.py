"""Approaches to ``greeting``."""

import os
from pathlib import Path

from chosen import run
from survey import survey


def direct():
    """Fill in the variable."""
    Path("/app/greeting.txt").write_text(f"Hello, {os.environ['GREETING_NAME']}!\n")


def surveyed(kilobytes):
    """Look for something that greets first."""
    survey(kilobytes)
    direct()


run(direct, surveyed)
