"""The extra ``study``: what commands say when it is not installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from pytest_reseval.printable import printable

_PACKAGES = {"jinja2", "markupsafe", "numpy", "scipy", "tomlkit"}


@contextmanager
def studying(command: str) -> Iterator[None]:
    """Within it modules may be imported that need the extra; without it, one line and status 2."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES:
            raise
        refuse(f"reseval {command} needs {package}: pip install 'pytest-reseval[study]'")


def refuse(message: str) -> NoReturn:
    """Say what is wrong and end with status 2."""
    click.echo(f"Error: {printable(message, keep='')}", err=True)
    sys.exit(2)
