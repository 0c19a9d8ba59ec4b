"""Loads tasks of the Harbor format: a directory of task file, instruction, environment and tests.

Nothing of a task is imported or executed here. A mistake in a task raises TaskError; a feature that
this version cannot give a task makes it ``unsupported``, so that it is skipped and never half run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pytest_reseval.tasks import harbor_values as values
from pytest_reseval.tasks.harbor_schema import Document, EnvironmentTable, TaskTable
from pytest_reseval.tasks.model import Environment, Task, VerifierEnvironment
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
    verifier_environment = (
        _verifier_environment(document, table, directory, environment)
        if values.verifier_mode(document, verifier) == "separate"
        else None
    )
    features = ", ".join(_missing_features(document, table, directory))
    if not features:
        _require_script(directory, verifier_environment)
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
        verifier_environment=verifier_environment,
        tests=directory / "tests",
        solution=solution if _has_script(solution, "solve.sh") else None,
        solution_env=values.variables(document, table.solution.env, "solution"),
        host=table.metadata.reseval.host,
        artifacts=values.artifacts(document, table),
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


def _environment(
    document: Document,
    table: EnvironmentTable,
    directory: Path,
    section: values.Section = values.ENVIRONMENT,
) -> Environment:
    image = values.image(document, table, section)
    build = image is None and (directory / "Dockerfile").is_file()
    return Environment(
        image=image,
        dockerfile=directory / "Dockerfile" if build else None,
        context=directory if build else None,
        loose_files=_loose_files(directory) if section == values.ENVIRONMENT else None,
        build_timeout=values.timeout(
            document, table.build_timeout_sec, *section, "build_timeout_sec"
        ),
        env=values.variables(document, table.env, *section),
        workdir=values.workdir(document, table, section),
        network=values.network_mode(document, table, section) == "public",
        healthcheck=None
        if table.healthcheck is None
        else values.healthcheck(document, table.healthcheck, section),
    )


def _verifier_environment(
    document: Document, table: TaskTable, directory: Path, agents: Environment
) -> VerifierEnvironment:
    """What ``[verifier.environment]`` and ``tests/`` define; without both, the agent's, anew."""
    own = table.verifier.environment
    if own is None:
        tests = directory / "tests"
        build = (tests / "Dockerfile").is_file()
        anew = replace(agents, image=None, dockerfile=tests / "Dockerfile", context=tests)
        return VerifierEnvironment(anew if build else agents, None, None, None)
    section = values.VERIFIER_ENVIRONMENT
    environment = _environment(document, own, directory / "tests", section)
    if environment.image is None and environment.dockerfile is None:
        environment = replace(
            environment,
            image=agents.image,
            dockerfile=agents.dockerfile,
            context=agents.context,
            loose_files=agents.loose_files,
        )
    return VerifierEnvironment(
        environment,
        values.memory_guarantee(document, own, section),
        values.cores(document, own.cpus, section),
        values.storage_limit(document, own, section),
    )


def _loose_files(directory: Path) -> Path | None:
    """``environment/`` where it holds no Dockerfile that would copy what it needs by itself."""
    if not directory.is_dir() or (directory / "Dockerfile").exists():
        return None
    return directory if {entry.name for entry in directory.iterdir()} - {".gitkeep"} else None


def _require_script(directory: Path, verifier: VerifierEnvironment | None) -> None:
    """The check, unless the verifier's own image may bring it."""
    tests = directory / "tests"
    if _has_script(tests, "test.sh"):
        return
    if verifier and (verifier.environment.image or verifier.environment.context == tests):
        return
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
    environment, verifier = table.environment, table.verifier
    if _has_steps(table, directory):
        yield "steps"
    for file in ("trajectory.json", "environment/docker-compose.yaml", "tests/docker-compose.yaml"):
        if (directory / file).exists():
            yield file
    yield from _missing_of_environment(document, environment, values.ENVIRONMENT)
    judged_in = environment
    if verifier.environment is not None:
        judged_in = verifier.environment
        yield from _missing_of_environment(document, judged_in, values.VERIFIER_ENVIRONMENT)
    for section, phase, place in (
        ("agent", table.agent, environment),
        ("verifier", verifier, judged_in),
    ):
        mode = values.phase_network_mode(document, phase, section)
        if mode not in (None, values.network_mode(document, place)):
            yield f"{section}.network_mode = {mode!r} unlike the environment's"
    if verifier.collect:
        yield "verifier.collect"
    if values.verifier_mode(document, verifier) == "separate":
        yield from _missing_of_artifacts(table)


def _missing_of_environment(
    document: Document, table: EnvironmentTable, section: values.Section
) -> Iterator[str]:
    name = ".".join(section)
    if values.operating_system(document, table, section) == "windows":
        yield f"{name}.os = 'windows'"
    if values.gpus(document, table, section) or table.gpu_types:
        yield f"{name}.gpus"
    for key in ("tpu", "mcp_servers", "skills_dir"):
        if getattr(table, key):
            yield f"{name}.{key}"
    if values.network_mode(document, table, section) == "allowlist":
        yield f"{name}.network_mode = 'allowlist'"


def _missing_of_artifacts(table: TaskTable) -> Iterator[str]:
    for key in ("destination", "exclude", "service"):
        if any(not isinstance(one, str) and getattr(one, key) for one in table.artifacts):
            yield f"artifacts.{key}"


def _has_steps(table: TaskTable, directory: Path) -> bool:
    return bool(table.steps) or (directory / "steps").is_dir()


def _has_script(directory: Path, name: str) -> bool:
    """True when the script will still be there in a copy of the directory."""
    script = directory / name
    return script.is_file() and (
        not script.is_symlink() or script.resolve().is_relative_to(directory.resolve())
    )
