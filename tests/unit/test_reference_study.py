"""The reference study: what its agents draw, that they are blind to limits, and what is told."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.reference_study import agent, attempts, outcomes, table
from benchmarks.reference_study.approaches import APPROACHES, Strategy
from benchmarks.reference_study.attempts import GIVES_UP, MIX, draw
from benchmarks.reference_study.outcomes import Trial
from pytest_reseval.plans import Defaults, Demand, Sweep, TrialPlan, plans
from pytest_reseval.resources import GIB, Headroom
from pytest_reseval.tasks.model import Environment

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "study.md"
KEPT = ROOT / "docs" / "data" / "reference-study.csv"
PROGRAMS = sorted(agent.PROGRAMS.glob("*.py"))
HEADROOMS = ["1x", "1.5x", "2x", "3x", "5x", "uncapped"]
SEEDS = range(1500)


def swept(task: str, samples: int) -> Iterator[TrialPlan]:
    headrooms = [Headroom.parse(text) for text in HEADROOMS]
    sweep = Sweep(headrooms, overriding=True, samples=samples, seed=2026)
    defaults = Defaults(memory_guarantee=GIB, cpu_guarantee=1.0, pids_limit=100, storage_limit=GIB)
    return plans(task, None, Demand(), Environment(), sweep, defaults)


# what is drawn


@pytest.mark.parametrize("task", APPROACHES)
def test_every_configuration_of_a_sample_has_the_same_attempt(task: str) -> None:
    found: dict[int, set[attempts.Attempt]] = {}
    for plan in swept(task, samples=5):
        found.setdefault(plan.sample, set()).add(draw(task, plan.seed))
    assert [len(drawn) for drawn in found.values()] == [1] * 5


def test_samples_differ() -> None:
    assert len({draw("replay-ledger", seed) for seed in range(100)}) > 5


def test_a_draw_is_the_same_for_ever() -> None:
    """The kept outcomes are of these draws; Python promises the sequence of a seeded Random."""
    attempt = draw("unpack-readings", 7)
    assert attempt.fallback is not None
    assert (attempt.first.approach.name, attempt.first.size) == ("chunks", 100_000)
    assert (attempt.fallback.approach.name, attempt.fallback.size) == ("lines", None)


@pytest.mark.parametrize("task", APPROACHES)
def test_strategies_are_as_frequent_as_the_mix_says(task: str) -> None:
    drawn = [draw(task, seed) for seed in SEEDS]
    counted = Counter(attempt.first.approach.strategy for attempt in drawn)
    there = {approach.strategy for approach in APPROACHES[task]}
    for strategy in (Strategy.SPIKY, Strategy.HUNGRY):
        share = MIX[strategy] if strategy in there else 0.0
        assert counted[strategy] == pytest.approx(len(SEEDS) * share, abs=50)
    gave_up = sum(attempt.fallback is None for attempt in drawn)
    assert gave_up == pytest.approx(len(SEEDS) * GIVES_UP, abs=75)


@pytest.mark.parametrize("task", APPROACHES)
def test_every_approach_and_size_is_taken(task: str) -> None:
    taken = {(one.first.approach.name, one.first.size) for one in map(_draw_of(task), SEEDS)}
    assert taken == {
        (approach.name, size) for approach in APPROACHES[task] for size in approach.sizes or (None,)
    }


@pytest.mark.parametrize("task", APPROACHES)
def test_fallbacks_are_lean(task: str) -> None:
    fallbacks = [attempt.fallback for attempt in map(_draw_of(task), SEEDS) if attempt.fallback]
    assert {step.approach.strategy for step in fallbacks} == {Strategy.LEAN}


def _draw_of(task: str) -> Callable[[int], attempts.Attempt]:
    return lambda seed: draw(task, seed)


def test_the_mix_is_a_distribution() -> None:
    assert sum(MIX.values()) == pytest.approx(1.0)
    assert list(MIX) == list(Strategy)


# what is done


def test_there_are_approaches_to_every_example_task() -> None:
    assert set(APPROACHES) == {path.parent.name for path in ROOT.glob("example_tasks/*/task.toml")}


@pytest.mark.parametrize("task", APPROACHES)
def test_approaches_are_what_the_program_has(task: str) -> None:
    (call,) = [
        node.value
        for node in ast.parse((agent.PROGRAMS / f"{task}.py").read_text()).body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]
    named = [node.id for node in call.args if isinstance(node, ast.Name)]
    assert sorted(named) == sorted({approach.name for approach in APPROACHES[task]})


ALLOWED = {
    *{"ast", "collections", "csv", "gzip", "hashlib", "importlib", "io", "itertools", "json"},
    *{"lzma", "marshal", "math", "os", "pathlib", "py_compile", "socket", "socketserver"},
    *{"subprocess", "sys", "time", "tokenize", "zlib"},
    *{"chosen", "survey", "ringbuffer"},
}
PATHS = ("/app", "/srv/stock.csv", "/tmp/index.json")


def blindness_violations(source: str) -> list[str]:
    """What in a program could tell it of its limit: modules, paths, variables, commands."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
            )
            found += [name for name in names if name.partition(".")[0] not in ALLOWED]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if text.startswith("/") and not text.startswith(PATHS):
                found.append(text)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if node.value.id == "os" and name not in ("os.environ", "os.fsync"):
                found.append(name)
            if node.value.id == "sys" and name not in (
                "sys.argv",
                "sys.executable",
                "sys.exit",
                "sys.path",
            ):
                found.append(name)
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            if ast.unparse(node.slice) != "'GREETING_NAME'":
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Name) and node.id in (
            "MemoryError",
            "eval",
            "exec",
            "__import__",
        ):
            found.append(node.id)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "subprocess.run",
            "subprocess.Popen",
        ):
            command = node.args[0]
            if not (
                isinstance(command, ast.List) and ast.unparse(command.elts[0]) == "sys.executable"
            ):
                found.append(ast.unparse(command))
    return found


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_programs_cannot_see_their_limit(program: Path) -> None:
    assert blindness_violations(program.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import resource",
        "from psutil import virtual_memory",
        "open('/sys/fs/cgroup/memory.max')",
        "open('/proc/meminfo')",
        "import os; os.sysconf('SC_PHYS_PAGES')",
        "import os; os.environ['RESEVAL_SEED']",
        "import subprocess; subprocess.run(['free', '-m'])",
        "import subprocess; subprocess.run('cat /proc/meminfo', shell=True)",
        "try:\n    x = b' ' * 10**9\nexcept MemoryError:\n    pass",
    ],
)
def test_what_could_see_it_would_be_found(source: str) -> None:
    assert blindness_violations(source)


def test_the_agent_looks_at_neither_limits_nor_meters() -> None:
    for module in (agent, attempts):
        used = {
            node.attr
            for node in ast.walk(ast.parse(inspect.getsource(module)))
            if isinstance(node, ast.Attribute)
        }
        assert not used & {"enforced", "meter", "alive", "memory_guarantee", "environment"}
    assert list(inspect.signature(draw).parameters) == ["task", "seed"]


# what is told


def trials(task: str, *verdicts: str) -> list[Trial]:
    """One sample a word: ``PF`` passed under 1x and failed uncapped, ``I`` is killed."""
    words = {
        "P": ("passed", "solved", 0),
        "S": ("passed", "solved", 1),
        "F": ("failed", "wrong", 0),
        "I": ("infra-error", "oom-limit", 1),
    }
    return [
        Trial(task, label, sample, "lean", "one", "", *words[letter], peak=1)
        for sample, word in enumerate(verdicts)
        for label, letter in zip(("1x", "uncapped"), word, strict=True)
    ]


def test_rates_and_changes_are_of_the_trials_given() -> None:
    told = table.told([*trials("a", "PP", "IP"), *trials("b", "FF", "SP")])
    rows = {
        line.split("|")[1].strip(): line.split("|") for line in told.splitlines() if "|" in line
    }
    assert rows["passed without a kill"][2:4] != ["", ""]
    assert [cell.strip() for cell in rows["passed, a kill survived"][2:4]] == ["1", "0"]
    curve = [line for line in told.splitlines() if line.startswith(("| 1x", "| uncapped"))][:2]
    assert "25.0% (" in curve[0]
    assert "50.0% (" in curve[0]
    assert "0.0% (" in curve[1]
    assert "75.0% (" in curve[1]
    assert "+25.0" in curve[1]
    assert "line [25.0, 0.0]" in told
    assert "line [0.0, 25.0]" in told


def test_what_is_kept_is_what_was_there(tmp_path: Path) -> None:
    some = [*trials("a", "PP", "IP"), *trials("b", "FF")]
    outcomes.write(some, tmp_path / "kept.csv")
    assert outcomes.read(tmp_path / "kept.csv") == some


def test_the_document_tells_what_was_kept() -> None:
    told = table.told(outcomes.read(KEPT))
    text = DOCUMENT.read_text()
    begin, end = "<!-- told by the study: begin -->\n", "\n<!-- told by the study: end -->"
    assert text.partition(begin)[2].partition(end)[0].strip() == told.strip()


def test_what_was_kept_is_what_the_seed_draws() -> None:
    kept = outcomes.read(KEPT)
    seeds = {
        (task, plan.sample): plan.seed
        for task in APPROACHES
        for plan in swept(task, 1 + max(one.sample for one in kept))
    }
    for one in kept:
        attempt = draw(one.task, seeds[one.task, one.sample])
        assert one.strategy == attempt.first.approach.strategy
        assert one.first.partition(" ")[0] == attempt.first.approach.name


def test_the_study_that_was_kept_is_complete() -> None:
    kept = outcomes.read(KEPT)
    counted = Counter((one.task, one.sample) for one in kept)
    assert set(counted.values()) == {len(HEADROOMS)}
    assert {one.configuration for one in kept} == set(HEADROOMS)
    assert {task for task, _ in counted} == set(APPROACHES)


def test_without_a_limit_what_was_kept_is_what_the_approaches_are_told_to_come_to() -> None:
    told = {
        (task, approach.name): approach
        for task, approaches in APPROACHES.items()
        for approach in approaches
    }
    for one in outcomes.read(KEPT):
        if one.configuration == "uncapped":
            name, _, size = one.first.partition(" ")
            right = told[one.task, name].right(int(size) if size else None)
            assert (one.outcome, one.kills) == ("passed" if right else "failed", 0)
