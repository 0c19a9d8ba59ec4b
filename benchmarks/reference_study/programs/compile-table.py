"""Approaches to ``compile-table``."""

import ast
import importlib.util
import marshal
import py_compile
import subprocess
import sys
import tokenize
from itertools import islice
from pathlib import Path

from chosen import run

DIST = Path("/app/dist")
BUILD = Path("/app/build")


def _source():
    BUILD.mkdir(exist_ok=True)
    DIST.mkdir(exist_ok=True)
    path = BUILD / "table.py"
    with path.open("wb") as target:
        subprocess.run([sys.executable, "/app/make_table.py"], stdout=target, check=True)
    return path


def _compile(source, name):
    path = BUILD / name
    path.with_suffix(".py").write_text(source)
    py_compile.compile(
        str(path.with_suffix(".py")), str((DIST / name).with_suffix(".pyc")), doraise=True
    )


def parts(entries):
    """A module for so many entries each, and one that joins them."""
    with _source().open() as source:
        lines = (line for line in source if line.startswith("    "))
        number = 0
        while part := list(islice(lines, entries)):
            _compile("PART = {\n" + "".join(part) + "}\n", f"part{number}")
            number += 1
    names = [f"part{index}" for index in range(number)]
    _compile(
        "TABLE = {}\n" + "".join(f"from {name} import PART\nTABLE |= PART\n" for name in names),
        "table",
    )


def whole():
    """The module as it is."""
    py_compile.compile(str(_source()), str(DIST / "table.pyc"), doraise=True)


def cached():
    """The module as it is, to where Python puts it."""
    source = _source()
    path = DIST / "table.py"
    path.write_bytes(source.read_bytes())
    py_compile.compile(str(path), doraise=True)
    path.unlink()


def checked():
    """The module's tokens and syntax tree first, to be sure of them."""
    source = _source()
    with source.open("rb") as lines:
        tokens = list(tokenize.tokenize(lines.readline))
    tree = ast.parse(source.read_bytes())
    assert len(tree.body) == 1
    assert tokens[-1].type == tokenize.ENDMARKER
    code = compile(tree, "table.py", "exec")
    header = importlib.util.MAGIC_NUMBER + bytes(12)
    (DIST / "table.pyc").write_bytes(header + marshal.dumps(code))


run(parts, whole, cached, checked)
