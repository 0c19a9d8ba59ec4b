"""Runs the approach that the command line names: ``python3 TASK.py APPROACH [SIZE]``."""

import sys


def run(*approaches):
    """Call the one of these functions that is named, with its size if it has one."""
    name, *sizes = sys.argv[1:]
    by_name = {approach.__name__: approach for approach in approaches}
    by_name[name](*map(int, sizes))
