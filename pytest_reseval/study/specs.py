"""A new memory guarantee in the text of a task file, and the change as a patch: text to text.

Comments and layout stay; the amount is written in the way in which the file wrote it.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from pytest_reseval.resources import GIB, MIB

_CONTEXT = 3

_CONCERNED = re.compile("environment|memory")

_HEADER = re.compile(r"^[ \t]*\[[ \t]*environment[ \t]*\][^\r\n]*(\r?\n)?", re.MULTILINE)


class CannotEdit(Exception):
    """A file whose guarantee cannot be changed by a program; the message says why."""


def with_guarantee(text: str, amount: int) -> str:
    """The text of a ``task.toml`` with the memory guarantee of ``amount`` bytes, whole MiB.

    Raises CannotEdit, also where it cannot be written without a change of anything else.
    """
    was = tomllib.loads(text)
    keys = _keys(was.get("environment", {}), amount)
    meant = {**was, "environment": {**was.get("environment", {}), **keys}}
    for edited in _candidates(text, keys, was.get("environment", {})):
        with suppress(tomllib.TOMLDecodeError):
            if tomllib.loads(edited) == meant and _others(edited) == _others(text):
                return edited
    raise CannotEdit("its layout is beyond the editor; change it by hand")


def _others(text: str) -> list[str]:
    """The lines that are to stay as they are."""
    return [line for line in text.split("\n") if line.strip() and not _CONCERNED.search(line)]


def _candidates(
    text: str, keys: Mapping[str, int | str], environment: Mapping[str, object]
) -> Iterator[str]:
    """Ways to write it, the best first; which of them mean the right thing is seen by reading them.

    A new key goes right below its table's header: a comment at the end may be on what follows.
    """
    if not keys.keys() & environment.keys():
        added = "".join(f"{key} = {value}\n" for key, value in keys.items())
        for header in _HEADER.finditer(text):
            lines = added if header[1] != "\r\n" else added.replace("\n", "\r\n")
            start = header[0] if header[1] else f"{header[0]}\n"
            yield text[: header.start()] + start + lines + text[header.end() :]
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        yield f"{text}{gap}[environment]\n{added}"
    with suppress(TOMLKitError):
        document: Any = tomlkit.parse(text)
        table = document.setdefault("environment", tomlkit.table())
        for key, value in keys.items():
            table[key] = value
        yield tomlkit.dumps(document)


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
