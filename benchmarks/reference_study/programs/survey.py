"""Reads much before doing anything: syntax trees of the standard library, all held at once."""

import ast
import json
from pathlib import Path


def survey(kilobytes):
    """Index the functions of so much source; the trees need about 25 times its size."""
    trees, size = {}, 0
    for path in sorted(Path(json.__file__).parents[1].glob("*.py")):
        if size >= kilobytes * 1024:
            break
        source = path.read_bytes()
        trees[path.name] = ast.parse(source)
        size += len(source)
    index = {
        name: [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        for name, tree in trees.items()
    }
    Path("/tmp/index.json").write_text(json.dumps(index))
