"""What a sweep varies, in which order, and under a lenient limit, by real pytest processes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.plugin.conftest import SOLVE, MakeTask

Run = Callable[..., pytest.RunResult]
Records = Callable[[], dict[str, dict[str, Any]]]

INFRA_ONLY = 75
MIB = 1 << 20
HOLD = "python3 -c 'import time; b = bytearray(150 << 20); time.sleep(600)'"
SPIKE = f"python3 -c 'b = bytearray(150 << 20)'; {SOLVE}"


@pytest.fixture
def manifest(pytester: pytest.Pytester) -> Callable[[], dict[str, Any]]:
    def read() -> dict[str, Any]:
        told: dict[str, Any] = msgspec.json.decode(
            (pytester.path / "results" / "manifest.json").read_bytes()
        )
        return told

    return read


def test_cpu_and_timeouts_are_swept_apart_from_memory(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    make_task("unpack", toml="[agent]\ntimeout_sec = 40\n[verifier]\ntimeout_sec = 20")
    result = run(
        "--reseval-headroom=1x,2x",
        "--reseval-cpu-headroom=1x,uncapped",
        "--reseval-timeout-scale=1,0.5",
    )
    assert result.ret == 0
    asked = {line["configuration"]: line["evidence"]["resources"] for line in records().values()}
    assert {
        label: (resources["memory_limit"], resources["cpu_limit"])
        for label, resources in asked.items()
    } == {
        f"{memory}x{cpu}{time}": (memory * 64 * MIB, limit)
        for memory in (1, 2)
        for cpu, limit in (("-cpu1x" if memory == 2 else "", 1.0), ("-cpuuncapped", None))
        for time in ("", "-time0.5x")
    }


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_the_order_is_blocked_seeded_and_in_the_manifest(
    make_task: MakeTask, run: Run, manifest: Callable[[], dict[str, Any]], workers: str
) -> None:
    for name in "abcd":
        make_task(name)
    sweep = ("--reseval-headroom=1x,2x", "--reseval-samples=2", "--reseval-seed=11")
    result = run(*sweep, workers)
    assert result.ret == 0
    told = manifest()
    assert told["seed"] == 11
    order = [trial.rpartition("[")[0::2] for trial in told["order"]]
    blocks = [list(block) for _, block in groupby(order, key=lambda trial: trial[0])]
    assert [len(block) for block in blocks] == [2] * 8
    firsts = [block[0][1].split("-")[0] for block in blocks]
    assert firsts.count("1x") == firsts.count("2x") == 4
    collected = run(*sweep, "--collect-only", "-q")
    assert [line for line in collected.outlines if "::" in line] == told["order"]


def test_a_seed_of_chance_is_kept(
    make_task: MakeTask, run: Run, manifest: Callable[[], dict[str, Any]]
) -> None:
    make_task("a")
    result = run("--reseval-headroom=1x,2x")
    result.stdout.fnmatch_lines([f"*seed {manifest()['seed']};*"])


def test_agents_get_one_seed_for_all_configurations_of_a_sample(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    for name in "ab":
        make_task(name)
    run(
        "--reseval-agent=cmd:echo seed $RESEVAL_SEED",
        "--reseval-headroom=1x,2x",
        "--reseval-samples=2",
    )
    seeds: dict[tuple[str, str], set[str]] = {}
    for line in (pytester.path / "results" / "trials.jsonl").read_bytes().splitlines():
        told = msgspec.json.decode(line)
        agent = told["evidence"]["phases"][0]["output_tail"]
        seeds.setdefault((told["task"], told["sample"]), set()).add(agent)
    assert all(len(same) == 1 for same in seeds.values())
    assert len(set.union(*seeds.values())) == 4


def test_tests_that_are_no_trials_keep_their_places(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    for name in "ab":
        make_task(name)
    (pytester.path / "tasks" / "test_plain.py").write_text("def test_one(): pass\n")
    result = run("--reseval-headroom=1x,2x", "--collect-only", "-q")
    ids = [line for line in result.outlines if "::" in line]
    assert ids.index("tasks/test_plain.py::test_one") == 4
    assert len(ids) == 5


@pytest.mark.parametrize("engine", ["local", pytest.param("docker", marks=pytest.mark.docker)])
def test_a_lenient_limit_tolerates_a_spike_and_ends_what_stays_above(
    make_task: MakeTask,
    run: Run,
    records: Records,
    request: pytest.FixtureRequest,
    engine: str,
) -> None:
    image = ""
    if engine == "docker":
        image = f'docker_image = "{request.getfixturevalue("base_image")}"'
        request.getfixturevalue("docker_engine")
    make_task("spike", solve=SPIKE, toml=image)
    make_task("holds", solve=HOLD, toml=image)
    result = run("--reseval-headroom=lenient:1x/20s", "-k", "spike", f"--reseval-engine={engine}")
    assert result.ret == 0
    (spike,) = records().values()
    assert spike["evidence"]["phases"][0]["peak"] > 150 * MIB
    assert spike["evidence"]["enforced"]["memory_limit"] is None

    for policy, status in (("infra-error", INFRA_ONLY), ("failed", 1)):
        results = f"--reseval-results=ended-{policy}"
        result = run(
            "--reseval-headroom=lenient:1x/1s",
            "-k",
            "holds",
            f"--reseval-oom={policy}",
            f"--reseval-engine={engine}",
            results,
        )
        assert result.ret == status
        result.stdout.fnmatch_lines(["*the sandbox was ended after * s above its limit of 64 MiB*"])


def test_a_run_is_not_gone_on_with_under_another_seed(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    make_task("a")
    assert run("--reseval-seed=3").ret == 0
    folder = Path(pytester.path, "results")
    result = pytester.runpytest_subprocess(
        "tasks", "--reseval-engine=local", f"--reseval-resume={folder}", "--reseval-seed=4"
    )
    result.stderr.fnmatch_lines(["*the seed was '3' and is now '4'*"])
