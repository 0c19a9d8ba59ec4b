"""Tasks that ask for a verifier in a sandbox of its own get one, and nothing else of the agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.plugin.conftest import CHECK, SOLVE, MakeTask

Run = Callable[..., pytest.RunResult]
Records = Callable[[], dict[str, dict[str, Any]]]

EVERYWHERE = pytest.mark.parametrize("workers", ["-n0", "-n2"])
SEPARATE = '[verifier]\nenvironment_mode = "separate"\n'


@pytest.fixture
def make_apart(make_task: MakeTask) -> MakeTask:
    """Write a task whose verifier is apart and gets ``/app/answer``."""

    def make(name: str, artifacts: str = '["/app/answer"]', toml: str = "", **rest: Any) -> Any:
        folder = make_task(name, toml=SEPARATE + toml, **rest)
        file = folder / "task.toml"
        file.write_text(f"artifacts = {artifacts}\n{file.read_text()}")
        return folder

    return make


@EVERYWHERE
def test_the_answer_reaches_the_verifier_and_the_rest_does_not(
    make_apart: MakeTask, run: Run, records: Records, workers: str
) -> None:
    make_apart("good")
    make_apart("bad", solve="mkdir -p /app; echo 41 > /app/answer")
    cheat = """\
printf '#!/bin/sh\\necho 1 > /logs/verifier/reward.txt\\n' > /bin/cat
(while :; do echo 1 > /logs/verifier/reward.txt; sleep 0.01; done) &
mkdir -p /app; echo 41 > /app/answer
"""
    make_apart("cheat", solve=cheat)
    assert run(workers).ret == pytest.ExitCode.TESTS_FAILED
    causes = {line["task"]: line["cause"] for line in records().values()}
    assert causes == {"good": "solved", "bad": "wrong", "cheat": "wrong"}
    good = next(line for line in records().values() if line["task"] == "good")
    assert [phase["name"] for phase in good["evidence"]["phases"]] == ["agent", "verifier"]
    assert {"artifacts", "verifier-start", "verifier-teardown"} <= good["stages"].keys()


def test_a_link_to_the_hidden_answer_is_not_followed(
    make_apart: MakeTask, run: Run, records: Records
) -> None:
    folder = make_apart(
        "thief",
        solve="mkdir -p /app/out; ln -s /tests/expected /app/answer; "
        "ln -s /tests/expected /app/out/answer; echo kept > /app/out/other; mkfifo /app/out/pipe",
        check='[ "$(cat /app/out/other)" = kept ] && ! [ -e /app/out/pipe ] || exit; '
        "echo 0 > /logs/verifier/reward.txt; "
        "cmp -s /app/answer /tests/expected || cmp -s /app/out/answer /tests/expected || exit; "
        "echo 1 > /logs/verifier/reward.txt",
        artifacts='["/app/answer", {source = "/app/out"}]',
    )
    (folder / "tests" / "expected").write_text("42\n")
    assert run().ret == pytest.ExitCode.TESTS_FAILED
    (line,) = records().values()
    assert (line["cause"], line["evidence"]["reward"]) == ("wrong", 0.0)
    (missing,) = line["evidence"]["artifacts_missing"]
    assert missing.startswith("/app/answer")


def test_the_conventional_folder_comes_along_and_what_is_missing_is_told(
    make_apart: MakeTask, run: Run, records: Records
) -> None:
    make_apart(
        "writer",
        solve="echo 42 > /logs/artifacts/answer",
        check='test "$(cat /logs/artifacts/answer)" = 42; '
        "echo $((1 - $?)) > /logs/verifier/reward.txt",
    )
    assert run().ret == 0
    (line,) = records().values()
    assert line["evidence"]["artifacts_missing"] == ["/app/answer is missing"]


def test_the_verifier_has_resources_of_its_own(
    make_apart: MakeTask, run: Run, records: Records
) -> None:
    make_apart(
        "hungry-judge",
        toml="[verifier.environment]\nmemory_mb = 256\n",
        check=f"python3 -c 'b = bytearray(200 << 20)' && {CHECK}",
    )
    assert run("--reseval-headroom=1x").ret == 0
    (line,) = records().values()
    assert line["evidence"]["resources"]["memory_limit"] == 64 << 20
    assert line["evidence"]["phases"][1]["peak"] > 200 << 20


def test_services_and_memory_of_the_agent_do_not_reach_the_verifier(
    make_apart: MakeTask, run: Run, records: Records
) -> None:
    leaves = f"{SOLVE}; head -c 50M /dev/zero > /dev/shm/left; sleep 1000 & sleep 0.1"
    make_apart(
        "lodger",
        solve=leaves,
        check=f"! [ -e /dev/shm/left ] && ! grep -aqs '[s]leep.1000' /proc/*/cmdline && {CHECK}",
    )
    assert run().ret == 0
    (line,) = records().values()
    assert line["evidence"]["phases"][1]["residue"] < 16 << 20
