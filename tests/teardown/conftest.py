"""Runs that come to their end in every way, on both engines, watched by ``nothing_left``."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.engines.conftest import mark
from tests.leftovers import Scope
from tests.plugin.conftest import (
    MakeTask,
    calm_environment,
    docker_engine,
    launch,
    leave,
    local_engine,
    make_task,
    records,
)

__all__ = [
    "calm_environment",
    "docker_engine",
    "launch",
    "leave",
    "local_engine",
    "make_task",
    "mark",
    "records",
]

Go = Callable[..., subprocess.Popen[str]]
Dockerfile = Callable[..., None]


@pytest.fixture(
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("local", marks=pytest.mark.root),
    ]
)
def engine(request: pytest.FixtureRequest) -> str:
    """The name of every engine that can be had here."""
    request.getfixturevalue(f"{request.param}_engine")
    name: str = request.param
    return name


@pytest.fixture
def task(request: pytest.FixtureRequest, engine: str, make_task: MakeTask) -> MakeTask:
    """Write a task that the engine can run."""
    if engine == "local":
        return make_task
    image = request.getfixturevalue("base_image")
    return lambda name, **fields: make_task(name, toml=f'docker_image = "{image}"', **fields)


@pytest.fixture
def go(launch: Go, engine: str) -> Go:
    """Start a run on the engine."""
    return lambda *arguments, **options: launch(
        f"--reseval-engine={engine}", "-v", *arguments, **options
    )


@pytest.fixture
def built(
    nothing_left: Scope, docker_engine: None, base_image: str, make_task: MakeTask
) -> Dockerfile:
    """Write a task with a Dockerfile that adds these instructions to a layer of its own."""

    def write(name: str, instructions: str, toml: str = "") -> None:
        environment = make_task(name, toml=toml) / "environment"
        environment.mkdir()
        (environment / "unique").write_text(nothing_left.build_label)
        (environment / "Dockerfile").write_text(
            f"FROM {base_image} AS first\n"
            f"LABEL {nothing_left.build_label}\n"
            "RUN echo first > /first\n"
            f"FROM {base_image}\n"
            f"LABEL {nothing_left.build_label}\n"
            "COPY --from=first /first /first\n"
            "RUN echo second > /second\n"
            f"{instructions}\n"
        )

    return write
