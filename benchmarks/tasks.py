"""Generated tasks that cost next to nothing to solve, so that what is left is the harness."""

from __future__ import annotations

from pathlib import Path

IMAGE = "reseval-examples:1"
"""Made by ``python example_tasks/base_image.py``."""

GUARANTEE_MIB = 64

_TASK = """\
schema_version = "1.3"

[metadata]
reseval.host = true

[agent]
timeout_sec = 60.0

[verifier]
timeout_sec = 60.0

[environment]
docker_image = "{image}"
cpus = {cores}
memory_mb = {memory}
"""
_INSTRUCTION = "Write the word solved into /tmp/answer.\n"
_SOLVE = "#!/bin/sh\necho solved > /tmp/answer\n"
_TEST = """\
#!/bin/sh
if grep -q solved /tmp/answer; then echo 1; else echo 0; fi > /logs/verifier/reward.txt
"""


def write_tasks(folder: Path, count: int, cores: float = 1.0) -> list[Path]:
    """Make ``folder`` with ``count`` trivial tasks of ``cores`` each; answers their paths."""
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    task = _TASK.format(image=IMAGE, cores=cores, memory=GUARANTEE_MIB)
    directories = [folder / f"task-{number:05}" for number in range(count)]
    for directory in directories:
        _write(directory / "task.toml", task, 0o644)
        _write(directory / "instruction.md", _INSTRUCTION, 0o644)
        _write(directory / "solution" / "solve.sh", _SOLVE, 0o755)
        _write(directory / "tests" / "test.sh", _TEST, 0o755)
    return directories


def _write(path: Path, content: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
