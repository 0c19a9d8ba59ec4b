"""Loads tasks of the Harbor format: a directory of task file, instruction, environment and tests.

Nothing of a task is imported or executed here. A mistake in a task raises TaskError; a feature that
this version cannot give a task makes it ``unsupported``, so that it is skipped and never half run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_reseval.tasks import harbor_values as values
from pytest_reseval.tasks.harbor_schema import Document, EnvironmentTable, TaskTable
from pytest_reseval.tasks.model import Environment, Task
from pytest_reseval.tasks.tree import FileFault, check_tree, read_text

TASK_FILE = "task.toml"

_INSTRUCTION = "instruction.md"
_PARTS = (TASK_FILE, _INSTRUCTION, "environment", "tests", "solution")
_CANARY = re.compile(r"(<!--.*canary.*-->|#.*canary.*)", re.IGNORECASE)


def load_task(file: Path, environ: Mapping[str, str]) -> Task:
    """Read the task whose ``task.toml`` this is, with ``${VAR}`` filled in from ``environ``.

    Raises TaskError for the first mistake found in the file or in its directory.
    """
    file = Path(os.path.abspath(file))  # noqa: PTH100 (resolve() would rename a linked task)
    document = Document.read(file)
    table = document.typed(environ)
    directory = file.parent
    try:
        check_tree(directory)
        return _task(document, table, directory)
    except FileFault as fault:
        raise document.fault(fault) from None
    except OSError as error:
        raise document.fault(
            FileFault(str(error.filename), None, f"{error.strerror}; make it readable")
        ) from None


def _task(document: Document, table: TaskTable, directory: Path) -> Task:
    agent, verifier, solution = table.agent, table.verifier, directory / "solution"
    environment = _environment(document, table.environment, directory / "environment")
    features = ", ".join(_missing_features(document, table, directory))
    if not features:
        _require_script(directory)
        _require_environment(document, table, environment)
    return Task(
        name=directory.name,
        file=document.file,
        directory=directory,
        instruction="" if _has_steps(table, directory) else _instruction(directory),
        memory_guarantee=values.memory_guarantee(document, table.environment),
        cpu_guarantee=values.cores(document, table.environment.cpus),
        storage_limit=values.storage_limit(document, table.environment),
        environment=environment,
        agent_timeout=None
        if agent.timeout_sec is None
        else values.timeout(document, agent.timeout_sec, "agent", "timeout_sec"),
        agent_user=values.user(document, agent.user, "agent"),
        verifier_timeout=values.timeout(document, verifier.timeout_sec, "verifier", "timeout_sec"),
        verifier_env=values.variables(document, verifier.env, "verifier"),
        verifier_user=values.user(document, verifier.user, "verifier"),
        tests=directory / "tests",
        solution=solution if _has_script(solution, "solve.sh") else None,
        solution_env=values.variables(document, table.solution.env, "solution"),
        host=table.metadata.reseval.host,
        parts=tuple(path for name in _PARTS if (path := directory / name).exists()),
        unsupported=f"not supported yet: {features}" if features else None,
        ignored_keys=document.ignored_keys(),
        metadata=document.metadata(),
    )


def _instruction(directory: Path) -> str:
    """The instruction without the canary lines at its head, which agents are not to see."""
    lines = read_text(directory / _INSTRUCTION).splitlines(keepends=True)
    while lines and (not lines[0].strip() or _CANARY.fullmatch(lines[0].strip())):
        del lines[0]
    if not lines:
        raise FileFault(_INSTRUCTION, None, "it is blank; write what the agent is to do")
    return "".join(lines)


def _environment(document: Document, table: EnvironmentTable, directory: Path) -> Environment:
    image = values.image(document, table)
    build = image is None and (directory / "Dockerfile").is_file()
    return Environment(
        image=image,
        dockerfile=directory / "Dockerfile" if build else None,
        context=directory if build else None,
        loose_files=_loose_files(directory),
        build_timeout=values.timeout(
            document, table.build_timeout_sec, "environment", "build_timeout_sec"
        ),
        env=values.variables(document, table.env, "environment"),
        workdir=values.workdir(document, table),
        network=values.network_mode(document, table) == "public",
        healthcheck=None
        if table.healthcheck is None
        else values.healthcheck(document, table.healthcheck),
    )


def _loose_files(directory: Path) -> Path | None:
    """``environment/`` where it holds no Dockerfile that would copy what it needs by itself."""
    if not directory.is_dir() or (directory / "Dockerfile").exists():
        return None
    return directory if {entry.name for entry in directory.iterdir()} - {".gitkeep"} else None


def _require_script(directory: Path) -> None:
    if not _has_script(directory / "tests", "test.sh"):
        raise FileFault("tests/test.sh", None, "there is no such file; write the task's check")


def _require_environment(document: Document, table: TaskTable, environment: Environment) -> None:
    if environment.image or environment.dockerfile or table.metadata.reseval.host:
        return
    raise document.error(
        "environment",
        "docker_image",
        mend="the task has no environment; write environment/Dockerfile, or docker_image, or "
        "reseval.host = true in [metadata] if it needs nothing but the host's own system",
    )


def _missing_features(document: Document, table: TaskTable, directory: Path) -> Iterator[str]:
    """What the task asks for and this version does not have, in the file's own words."""
    environment = table.environment
    if _has_steps(table, directory):
        yield "steps"
    if (directory / "trajectory.json").exists():
        yield "trajectory.json"
    if (directory / "environment" / "docker-compose.yaml").exists():
        yield "environment/docker-compose.yaml"
    if values.operating_system(document, environment) == "windows":
        yield "environment.os = 'windows'"
    if values.gpus(document, environment) or environment.gpu_types:
        yield "environment.gpus"
    for key in ("tpu", "mcp_servers", "skills_dir"):
        if getattr(environment, key):
            yield f"environment.{key}"
    network = values.network_mode(document, environment)
    if network == "allowlist":
        yield "environment.network_mode = 'allowlist'"
    for section, phase in (("agent", table.agent), ("verifier", table.verifier)):
        mode = values.phase_network_mode(document, phase, section)
        if mode not in (None, network):
            yield f"{section}.network_mode = {mode!r} unlike the environment's"
    if values.verifier_mode(document, table.verifier) == "separate":
        yield "verifier.environment_mode = 'separate'"
    if table.verifier.collect:
        yield "verifier.collect"


def _has_steps(table: TaskTable, directory: Path) -> bool:
    return bool(table.steps) or (directory / "steps").is_dir()


def _has_script(directory: Path, name: str) -> bool:
    """True when the script will still be there in a copy of the directory."""
    script = directory / name
    return script.is_file() and (
        not script.is_symlink() or script.resolve().is_relative_to(directory.resolve())
    )
