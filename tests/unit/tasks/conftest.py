from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

GOOD_FILES: Mapping[str, str] = {
    "instruction.md": "Write 42 to /app/answer.\n",
    "environment/Dockerfile": "FROM ubuntu:24.04\n",
    "tests/test.sh": "#!/bin/sh\necho 1 > /logs/verifier/reward.txt\n",
    "solution/solve.sh": "#!/bin/sh\necho 42 > /app/answer\n",
}

MakeTask = Callable[..., Path]


@pytest.fixture(scope="session")
def good_files() -> Mapping[str, str]:
    """What a task directory holds beside its task file."""
    return GOOD_FILES


@pytest.fixture
def make_task(tmp_path: Path) -> MakeTask:
    """Writes a good task directory, changed as asked, and answers its task file.

    A content of None leaves that file out.
    """

    def make(toml: str | bytes = "", files: Mapping[str, str | None] | None = None) -> Path:
        directory = tmp_path / "some-task"
        task_file = directory / "task.toml"
        for name, content in {**GOOD_FILES, **(files or {})}.items():
            if content is not None:
                path = directory / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
        directory.mkdir(exist_ok=True)
        task_file.write_bytes(toml.encode() if isinstance(toml, str) else toml)
        return task_file

    return make
