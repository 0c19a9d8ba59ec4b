from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_reseval.resources import GIB, MIB
from pytest_reseval.tasks import load_task, task_file_in
from pytest_reseval.tasks.harbor import TASK_FILE
from pytest_reseval.tasks.model import Healthcheck, TaskError

MakeTask = Callable[..., Path]

OLD_SPELLINGS = """
version = "1.0"

[metadata]
author_name = "A. Author"
difficulty = "hard"
tags = ["bayesian", "coding"]
expert_time_estimate_min = 480.0

[verifier]
timeout_sec = 3600.0

[agent]
timeout_sec = 1200

[environment]
build_timeout_sec = 300.0
docker_image = "registry.example/bn-fit-modify:20251031"
cpus = 2
memory = "4G"
storage = "10G"
allow_internet = false
"""

NEW_SPELLINGS = """
schema_version = "1.4"
source = "somewhere"
artifacts = ["/app/answer"]

[task]
name = "example/some-task"
description = "An example"

[metadata]
category = "software"

[environment]
os = "Linux"
cpus = 1.5
memory_mb = 2048
storage_mb = 10240
gpus = 0
network_mode = "public"
workdir = "/app"
mcp_servers = []
env = { MODE = "test", TOKEN = "${TOKEN}", PORT = "${PORT:-8080}", COST = "5${TOKEN}" }

[environment.healthcheck]
command = "test -f /ready"
interval_sec = 1
retries = 5

[agent]
user = "agent"
network_mode = "public"

[verifier]
environment_mode = "shared"
user = 1000

[verifier.env]
JUDGE = "${JUDGE:-}"

[solution.env]
ANSWER = "42"
"""


def test_old_spellings(make_task: MakeTask) -> None:
    task = load_task(make_task(OLD_SPELLINGS), {})

    assert task.memory_guarantee == 4 * GIB
    assert task.cpu_guarantee == 2.0
    assert task.storage_limit == 10 * GIB
    assert task.environment.image == "registry.example/bn-fit-modify:20251031"
    assert task.environment.dockerfile is None
    assert task.environment.context is None
    assert task.environment.build_timeout == 300.0
    assert task.environment.network is False
    assert task.agent_timeout == 1200.0
    assert task.verifier_timeout == 3600.0
    assert task.unsupported is None
    assert task.ignored_keys == ()
    assert task.metadata["tags"] == ["bayesian", "coding"]


def test_new_spellings(make_task: MakeTask) -> None:
    task = load_task(make_task(NEW_SPELLINGS), {"TOKEN": "secret"})

    assert task.memory_guarantee == 2048 * MIB
    assert task.cpu_guarantee == 1.5
    assert task.storage_limit == 10240 * MIB
    assert task.environment.env == {
        "MODE": "test",
        "TOKEN": "secret",
        "PORT": "8080",
        "COST": "5${TOKEN}",
    }
    assert task.environment.workdir == "/app"
    assert task.environment.network is True
    assert task.environment.healthcheck == Healthcheck(
        command="test -f /ready", interval=1.0, retries=5
    )
    assert task.agent_timeout is None
    assert task.agent_user == "agent"
    assert task.verifier_user == "1000"
    assert task.verifier_env == {"JUDGE": ""}
    assert task.solution_env == {"ANSWER": "42"}
    assert task.unsupported is None
    assert task.ignored_keys == ("source",)
    assert task.artifacts == ("/app/answer",)


def test_an_empty_file_means_the_defaults(make_task: MakeTask) -> None:
    file = make_task("")
    task = load_task(file, {})

    assert task.name == "some-task"
    assert task.file == file
    assert task.directory == file.parent
    assert task.instruction == "Write 42 to /app/answer.\n"
    assert (task.memory_guarantee, task.cpu_guarantee, task.storage_limit) == (None, None, None)
    assert task.agent_timeout is None
    assert task.verifier_timeout == 600.0
    assert task.environment.build_timeout == 600.0
    assert task.environment.image is None
    assert task.environment.dockerfile == file.parent / "environment" / "Dockerfile"
    assert task.environment.context == file.parent / "environment"
    assert task.environment.network is True
    assert task.environment.healthcheck is None
    assert task.tests == file.parent / "tests"
    assert task.solution == file.parent / "solution"
    assert task.host is False


def test_a_solution_needs_its_script(make_task: MakeTask) -> None:
    task = load_task(make_task("", {"solution/solve.sh": None, "solution/notes": "x"}), {})
    assert task.solution is None


def test_both_spellings_may_stand_if_they_agree(make_task: MakeTask) -> None:
    task = load_task(make_task('[environment]\nmemory = "2G"\nmemory_mb = 2048'), {})
    assert task.memory_guarantee == 2 * GIB


@pytest.mark.parametrize(
    ("environment", "network"),
    [
        ("", True),
        ("allow_internet = true", True),
        ("allow_internet = false", False),
        ('network_mode = "public"', True),
        ('network_mode = "no-network"', False),
        ('network_mode = "no-network"\nallow_internet = false', False),
        ('network_mode = "public"\nallowed_hosts = []', True),
    ],
)
def test_network(make_task: MakeTask, environment: str, network: bool) -> None:
    task = load_task(make_task(f"[environment]\n{environment}"), {})
    assert task.environment.network is network
    assert task.unsupported is None


def test_a_phase_without_network_in_an_environment_without_one_is_no_wish_of_its_own(
    make_task: MakeTask,
) -> None:
    toml = '[environment]\nallow_internet = false\n[agent]\nnetwork_mode = "no-network"'
    assert load_task(make_task(toml), {}).unsupported is None


def test_ignored_keys_are_listed_wherever_they_stand(make_task: MakeTask) -> None:
    toml = """
        "odd key" = 1
        [environment]
        colour = "red"
        [environment.healthcheck]
        command = "true"
        shell = "bash"
        [agent]
        name = "${NOT_SET}"
        [verifier]
        shell = "bash"
        [solution]
        author = "x"
        [metadata]
        anything = "${NOT_SET}"
        [metadata.reseval]
        hosts = true
        [extra.table]
        a = 1
    """
    task = load_task(make_task(toml), {})
    assert set(task.ignored_keys) == {
        '"odd key"',
        "environment.colour",
        "environment.healthcheck.shell",
        "agent.name",
        "verifier.shell",
        "solution.author",
        "metadata.reseval.hosts",
        "extra",
    }
    assert task.metadata["anything"] == "${NOT_SET}"


@pytest.mark.parametrize(
    "toml", ["[environment]\ndocker_image = ''\nworkdir = ''\n[agent]\nuser = ''\n"]
)
def test_an_empty_string_is_no_value(make_task: MakeTask, toml: str) -> None:
    task = load_task(make_task(toml), {})
    assert task.environment.image is None
    assert task.environment.dockerfile is not None
    assert task.environment.workdir is None
    assert task.agent_user is None


def test_values_outside_of_env_are_filled_in_too(make_task: MakeTask) -> None:
    toml = "[environment]\ndocker_image = '${IMAGE:-ubuntu}'\nmemory = '${MEMORY}'"
    task = load_task(make_task(toml), {"MEMORY": "3G"})
    assert task.environment.image == "ubuntu"
    assert task.memory_guarantee == 3 * GIB


def test_a_host_task_needs_no_environment(make_task: MakeTask) -> None:
    toml = "[metadata]\nreseval.host = true"
    task = load_task(make_task(toml, {"environment/Dockerfile": None}), {})
    assert task.host is True
    assert task.environment.context is None
    assert task.environment.context_digest is None


def test_a_host_task_may_have_an_image_as_well(make_task: MakeTask) -> None:
    task = load_task(make_task("[metadata]\nreseval.host = true"), {})
    assert task.host is True
    assert task.environment.dockerfile is not None


@pytest.mark.parametrize(
    ("toml", "files", "feature"),
    [
        ("", {"environment/docker-compose.yaml": "services: {}"}, "docker-compose.yaml"),
        ("[[steps]]\nname = 'one'", {"instruction.md": None, "tests/test.sh": None}, "steps"),
        ("", {"steps/one/instruction.md": "x", "instruction.md": None}, "steps"),
        ("", {"trajectory.json": "{}"}, "trajectory.json"),
        ("[environment]\ngpus = 1", {}, "gpus"),
        ("[environment]\ngpu_types = ['H100']", {}, "gpus"),
        ("[environment]\ntpu = {type = 'v4', topology = '2x2'}", {}, "tpu"),
        (
            "[environment]\nnetwork_mode = 'allowlist'\nallowed_hosts = ['example.com']",
            {},
            "allowlist",
        ),
        ("[agent]\nnetwork_mode = 'no-network'", {}, "agent.network_mode"),
        (
            "[verifier]\nnetwork_mode = 'allowlist'\nallowed_hosts = ['example.com']",
            {},
            "verifier.network_mode",
        ),
        ("[verifier.environment]\ngpus = 1", {}, "verifier.environment.gpus"),
        (
            "[verifier]\nnetwork_mode = 'public'\n[verifier.environment]\nallow_internet = false",
            {},
            "verifier.network_mode",
        ),
        (
            "artifacts = [{source = '/a', destination = 'b'}]\n[verifier.environment]",
            {},
            "artifacts.destination",
        ),
        ("", {"tests/docker-compose.yaml": "services: {}"}, "tests/docker-compose.yaml"),
        ("[[verifier.collect]]\ncommand = 'true'", {}, "collect"),
        ("[[environment.mcp_servers]]\nname = 'x'\nurl = 'http://x'", {}, "mcp_servers"),
        ("[environment]\nskills_dir = '/skills'", {}, "skills_dir"),
        ("[environment]\nos = 'Windows'", {"tests/test.sh": None}, "windows"),
    ],
)
def test_what_is_not_built_yet_is_named_and_not_run(
    make_task: MakeTask, toml: str, files: dict[str, str | None], feature: str
) -> None:
    task = load_task(make_task(toml, files), {})
    assert task.unsupported is not None
    assert feature in task.unsupported


def test_every_missing_feature_is_named(make_task: MakeTask) -> None:
    file = make_task("[environment]\ngpus = 2\nskills_dir = '/skills'")
    assert load_task(file, {}).unsupported == (
        "not supported yet: environment.gpus, environment.skills_dir"
    )


SEPARATE = "[verifier]\nenvironment_mode = 'separate'"


def test_a_separate_verifier_without_a_definition_gets_the_agents_environment_anew(
    make_task: MakeTask,
) -> None:
    task = load_task(make_task(f"artifacts = ['/app/out/']\n{SEPARATE}"), {})
    assert task.verifier_environment is not None
    assert task.verifier_environment.environment == task.environment
    assert task.artifacts == ("/app/out",)


def test_a_dockerfile_beside_the_tests_defines_the_verifiers_environment(
    make_task: MakeTask,
) -> None:
    file = make_task(SEPARATE, {"tests/Dockerfile": "FROM x", "tests/test.sh": None})
    task = load_task(file, {})
    assert task.verifier_environment is not None
    environment = task.verifier_environment.environment
    assert environment.dockerfile == file.parent / "tests" / "Dockerfile"
    assert environment.context == file.parent / "tests"
    assert environment.image is None


def test_a_table_gives_the_verifier_resources_of_its_own(make_task: MakeTask) -> None:
    toml = """
        [verifier.environment]
        docker_image = "judge:1"
        memory = "${JUDGE_MEMORY}"
        cpus = 2
        allow_internet = false
        env = {MODE = "judge"}
    """
    verifier = load_task(make_task(toml), {"JUDGE_MEMORY": "3G"}).verifier_environment
    assert verifier is not None
    assert (verifier.memory_guarantee, verifier.cpu_guarantee) == (3 * GIB, 2.0)
    assert verifier.environment.image == "judge:1"
    assert verifier.environment.network is False
    assert verifier.environment.env == {"MODE": "judge"}


def test_a_separate_verifier_without_image_needs_a_check_to_bring_in(make_task: MakeTask) -> None:
    with pytest.raises(TaskError, match=r"tests/test\.sh"):
        load_task(make_task(SEPARATE, {"tests/test.sh": None}), {})


@pytest.mark.parametrize("path", ["relative", "/", "/a/../b", "/nul\\u0000"])
def test_an_artifact_is_an_absolute_path(make_task: MakeTask, path: str) -> None:
    with pytest.raises(TaskError, match=r"artifacts.*absolute paths"):
        load_task(make_task(f'artifacts = ["{path}"]'), {})


def test_a_mistake_in_the_verifiers_table_is_told_by_its_own_name(make_task: MakeTask) -> None:
    with pytest.raises(TaskError, match=r"verifier\.environment\.memory = '1X'"):
        load_task(make_task("[verifier.environment]\nmemory = '1X'"), {})


@pytest.mark.parametrize(
    ("script", "report"),
    [
        ("pytest --ctrf /logs/verifier/ctrf.json /tests", "/logs/verifier/ctrf.json"),
        ("pytest --junitxml=/logs/verifier/out/junit.xml", "/logs/verifier/out/junit.xml"),
        ("echo '{}' > /logs/verifier/reward.json", None),
        ("echo 1 > /logs/verifier/reward.txt", None),
        ("cat /logs/verifier/../../etc/x.json", None),
    ],
)
def test_the_report_is_the_one_that_the_check_names(
    make_task: MakeTask, script: str, report: str | None
) -> None:
    assert load_task(make_task("", {"tests/test.sh": script}), {}).report == report


@pytest.mark.parametrize(
    ("files", "loose"),
    [
        ({"environment/Dockerfile": None, "environment/data.csv": "1,2"}, True),
        ({"environment/data.csv": "1,2"}, False),
        ({"environment/Dockerfile": None, "environment/.gitkeep": ""}, False),
        ({"environment/Dockerfile": None}, False),
    ],
)
def test_files_without_a_dockerfile_are_loose(
    make_task: MakeTask, files: dict[str, str | None], loose: bool
) -> None:
    file = make_task("[environment]\ndocker_image = 'ubuntu'", files)
    environment = load_task(file, {}).environment
    assert environment.loose_files == (file.parent / "environment" if loose else None)
    assert environment.context is None


def test_canary_lines_are_not_shown_to_agents(make_task: MakeTask) -> None:
    text = "<!-- benchmark CANARY guid 1234 -->\n# canary 5678\n\nDo it.\n# canary stays here\n"
    task = load_task(make_task("", {"instruction.md": text}), {})
    assert task.instruction == "Do it.\n# canary stays here\n"


def test_links_within_the_task_are_fine(make_task: MakeTask) -> None:
    file = make_task("")
    (file.parent / "tests" / "again.sh").symlink_to("test.sh")
    (file.parent / "environment" / "checks").symlink_to("../tests")
    assert load_task(file, {}).unsupported is None


def test_a_task_reached_through_a_link_keeps_that_name(make_task: MakeTask, tmp_path: Path) -> None:
    file = make_task("")
    alias = tmp_path / "alias"
    alias.symlink_to(file.parent)
    assert load_task(alias / "task.toml", {}).name == "alias"


def test_a_relative_path_is_made_absolute(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_task("")
    monkeypatch.chdir(file.parent)
    task = load_task(Path("task.toml"), {})
    assert task.file == file
    assert task.name == "some-task"


def test_nothing_in_a_task_is_run(
    make_task: MakeTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    shell = f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n"
    file = make_task(
        "",
        {
            "conftest.py": trap,
            "tests/conftest.py": trap,
            "tests/test_x.py": trap,
            "__init__.py": trap,
            "tests/test.sh": shell,
            "solution/solve.sh": shell,
        },
    )
    monkeypatch.chdir(file.parent)
    for script in file.parent.rglob("*.sh"):
        script.chmod(0o755)

    assert load_task(file, {}).digest
    assert not (tmp_path / "ran").exists()
    assert not list(file.parent.rglob("__pycache__"))


def test_a_task_directory_is_known_by_its_file(make_task: MakeTask, tmp_path: Path) -> None:
    file = make_task("this is not TOML")
    assert task_file_in(file.parent) == file
    assert task_file_in(tmp_path) is None
    assert task_file_in(file) is None
    (tmp_path / "dangling").mkdir()
    (tmp_path / "dangling" / TASK_FILE).symlink_to("nowhere")
    assert task_file_in(tmp_path / "dangling"), "else it would never be missed"


def test_the_caller_s_environment_alone_fills_values_in(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESEVAL_TEST_TOKEN", "from the process")
    assert os.environ["RESEVAL_TEST_TOKEN"]
    with pytest.raises(TaskError, match="RESEVAL_TEST_TOKEN is not set"):
        load_task(make_task("[environment.env]\nTOKEN = '${RESEVAL_TEST_TOKEN}'"), {})
