"""A new memory guarantee in the text of a task file, and the change as a patch: text to text.

Comments and layout stay; the amount is written in the way in which the file wrote it.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from pytest_reseval.resources import GIB, MIB

_CONTEXT = 3


class CannotEdit(Exception):
    """A file whose guarantee cannot be changed by a program; the message says why."""


def with_guarantee(text: str, amount: int) -> str:
    """The text of a ``task.toml`` with the memory guarantee of ``amount`` bytes, whole MiB.

    Raises CannotEdit, also where anything else in the file would change its meaning.
    """
    keys = _keys(tomllib.loads(text).get("environment", {}), amount)
    try:
        document: Any = tomlkit.parse(text)
        table = document.setdefault("environment", tomlkit.table())
        for key, value in keys.items():
            table[key] = value
        edited = tomlkit.dumps(document)
        meant = tomllib.loads(edited)
    except (TOMLKitError, tomllib.TOMLDecodeError) as error:
        raise CannotEdit(f"its layout is beyond the editor ({error}); change it by hand") from None
    wanted = tomllib.loads(text)
    wanted["environment"] = {**wanted.get("environment", {}), **keys}
    if meant != wanted:
        raise CannotEdit("its layout is beyond the editor; change it by hand")
    return edited


def _keys(environment: dict[str, Any], amount: int) -> dict[str, int | str]:
    """The keys to set: those that the file has, else ``memory_mb``."""
    mib = amount // MIB
    text = f"{amount // GIB}G" if amount % GIB == 0 else f"{mib}M"
    if "${" in str(environment.get("memory", "")):
        raise CannotEdit("its memory comes from a variable; change it where that is set")
    keys: dict[str, int | str] = {}
    if "memory" in environment:
        keys["memory"] = text
    if "memory_mb" in environment or not keys:
        keys["memory_mb"] = mib
    return keys


def unified_diff(name: str, before: str, after: str) -> str:
    """The change of one file as ``git apply`` and ``patch -p1`` take it.

    ``name`` is relative, with slashes. Raises CannotEdit for a name that no patch can hold.
    """
    if re.search(r'[\x00-\x1f\x7f"\\]', name):
        raise CannotEdit("its name cannot stand in a patch; use --write")
    ended = "\t" if " " in name else ""
    return "".join(_lines(name + ended, before, after))


def _lines(name: str, before: str, after: str) -> Iterator[str]:
    changes = difflib.unified_diff(
        _split(before), _split(after), f"a/{name}", f"b/{name}", n=_CONTEXT
    )
    for line in changes:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _split(text: str) -> list[str]:
    """Lines with their ends; unlike ``splitlines`` at line feeds alone, as patches count them."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
