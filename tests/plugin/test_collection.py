from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_reseval.plugin import options
from tests.plugin.conftest import MakeTask

Run = Callable[..., pytest.RunResult]


def collected(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if "::" in line and " " not in line]


def test_hooks_of_the_suites_conftest_see_its_tasks(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    make_task("good")
    pytester.makeconftest(
        """
        def pytest_runtest_logreport(report):
            print("the suite saw", report.nodeid, report.when)
        """
    )
    for tasks in ("tasks", "tasks/good"):
        result = run("-s", f"--reseval-results={pytester.path}/{tasks}-results", tasks=tasks)
        result.stdout.fnmatch_lines(["*the suite saw tasks/good/task.toml::run*call*"])


def test_a_task_is_one_item_for_each_headroom_and_sample(make_task: MakeTask, run: Run) -> None:
    make_task("unpack")
    result = run("--reseval-headroom=1x,uncapped", "--reseval-samples=2", "--collect-only", "-q")
    assert collected(result) == [
        f"tasks/unpack/task.toml::run[{key}]"
        for key in ("1x-s0", "uncapped-s0", "uncapped-s1", "1x-s1")
    ]


def test_help_tells_of_every_option(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--help")
    assert result.ret == 0
    told = " ".join(result.outlines)
    assert "resource-aware evaluation" in told
    for option in options._OPTIONS:
        assert (option.flag if option.typed else option.ini) in told
    assert "95% interval" in told


@pytest.mark.parametrize(
    ("selection", "tasks"),
    [
        (["-k", "big"], ["big"]),
        (["-k", "not big"], ["small"]),
        (["-m", "cpu(guarantee=1)"], ["big", "small"]),
        (["-m", f"memory(guarantee={64 << 20})"], ["small"]),
        (["-m", f"memory(limit={3 * (128 << 20)})"], ["big"]),
        (["--deselect", "tasks/big/task.toml::run[3x-s0]"], ["small"]),
    ],
)
def test_items_are_selected_as_any_others(
    make_task: MakeTask, run: Run, selection: list[str], tasks: list[str]
) -> None:
    make_task("small")
    make_task("big", memory_mb=128)
    result = run("--collect-only", "-q", *selection)
    assert collected(result) == [f"tasks/{task}/task.toml::run[3x-s0]" for task in tasks]


@pytest.mark.parametrize(
    "name", ["tasks/small", "tasks/small/task.toml", "tasks/small/task.toml::run[3x-s0]"]
)
def test_a_task_can_be_named_without_any_option(
    make_task: MakeTask, pytester: pytest.Pytester, name: str
) -> None:
    make_task("small")
    make_task("other")
    result = pytester.runpytest_subprocess(name, "--collect-only", "-q", "-p", "no:cacheprovider")
    assert collected(result) == ["tasks/small/task.toml::run[3x-s0]"]


def test_last_failed_runs_only_what_failed(make_task: MakeTask, run: Run) -> None:
    make_task("good")
    make_task("bad", solve="true")
    first = run("--cache-clear")
    first.assert_outcomes(passed=1, failed=1)
    again = run("--lf", "--reseval-results=again")
    again.assert_outcomes(failed=1)


TRAP = "import pathlib; pathlib.Path({mark!r}).write_text('a task ran on the host')\n"


@pytest.mark.parametrize(
    "call",
    [
        ["tasks"],
        ["tasks/test-trap"],
        ["tasks/test-trap/task.toml"],
        ["tasks/test-trap/task.toml::run[3x-s0]"],
        ["."],
        [],
    ],
    ids=lambda call: call[0] if call else "nothing",
)
def test_nothing_of_a_task_is_imported_on_the_host(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester, call: list[str]
) -> None:
    mark = pytester.path / "mark"
    trap = TRAP.format(mark=str(mark))
    task = make_task("test-trap")
    for name in ("conftest.py", "test_hidden.py", "tests/conftest.py", "tests/test_hidden.py"):
        (task / name).write_text(trap + "def test_hidden(): pass\n")
    (task / "tests" / "__init__.py").write_text(trap)
    (task / "environment").mkdir()
    (task / "environment" / "conftest.py").write_text(trap)
    result = run(*call, tasks="")
    result.assert_outcomes(passed=1)
    assert not mark.exists()


def test_the_trap_would_spring_without_the_plugin(
    make_task: MakeTask, pytester: pytest.Pytester
) -> None:
    mark = pytester.path / "mark"
    task = make_task("test-trap")
    (task / "conftest.py").write_text(TRAP.format(mark=str(mark)))
    pytester.runpytest_subprocess("tasks/test-trap", "-p", "no:reseval")
    assert mark.exists()


def test_nothing_of_a_task_is_imported_by_workers_either(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    pytest.importorskip("xdist")
    mark = pytester.path / "mark"
    task = make_task("test-trap")
    for name in ("conftest.py", "tests/conftest.py", "tests/test_hidden.py"):
        (task / name).write_text(TRAP.format(mark=str(mark)))
    run("-n2").assert_outcomes(passed=1)
    assert not mark.exists()


def test_conftests_around_tasks_still_load(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    make_task("small")
    (pytester.path / "tasks" / "conftest.py").write_text("print('suite conftest')\n")
    (pytester.path / "conftest.py").write_text("print('root conftest')\n")
    result = run("tasks/small", "-s", tasks="")
    result.stdout.fnmatch_lines_random(["root conftest", "suite conftest"])


def test_a_file_inside_a_task_is_refused(make_task: MakeTask, run: Run) -> None:
    make_task("small")
    result = run("tasks/small/tests", tasks="")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*tasks/small/tests lies in the task directory*"])


def test_an_ini_file_inside_a_task_is_refused(
    make_task: MakeTask, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task("small")
    (task / "pytest.ini").write_text("[pytest]\n")
    result = run("tasks/small", tasks="")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pytest.ini lies in a task directory*"])


def test_a_broken_task_is_one_error_and_the_others_run(make_task: MakeTask, run: Run) -> None:
    make_task("good")
    (make_task("broken") / "task.toml").write_text("[environment\n")
    result = run()
    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*tasks/broken/task.toml*line 1*"])


def test_what_is_not_built_yet_is_skipped_by_name(make_task: MakeTask, run: Run) -> None:
    make_task("compose")
    folder = make_task("composed") / "environment"
    folder.mkdir()
    (folder / "docker-compose.yaml").write_text("services: {}\n")
    result = run("-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*docker-compose.yaml*"])


def test_a_guarantee_beyond_the_machine_stops_everything(make_task: MakeTask, run: Run) -> None:
    make_task("good")
    make_task("huge", memory_mb=64 << 20)
    for arguments in ([], ["-n2"]):
        result = run(*arguments)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        text = result.stdout.str() + result.stderr.str()
        assert "huge/task.toml" in text
        assert "memory guarantee of 64 TiB is larger than" in text
        assert "passed" not in text


def test_a_guarantee_beyond_the_machine_may_be_deselected(make_task: MakeTask, run: Run) -> None:
    make_task("good")
    make_task("huge", memory_mb=64 << 20)
    run("-k", "good").assert_outcomes(passed=1, deselected=1)
    run("-k", "good", "-n2", "--reseval-results=again").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("--reseval-headroom=3", "--reseval-headroom*unknown headroom '3'"),
        ("--reseval-headroom=0.5x", "--reseval-headroom*'0.5x'"),
        ("--reseval-agent=claude", "--reseval-agent=claude: unknown agent"),
        ("--reseval-agent=cmd:", "--reseval-agent=cmd:: unknown agent"),
        ("--reseval-resume=", "--reseval-resume= has no value"),
        ("--reseval-engine=vax", "--reseval-engine = 'vax'*docker, local"),
        ("--reseval-samples=0", "--reseval-samples = '0'*whole number"),
        ("--reseval-admission=maybe", "--reseval-admission = 'maybe'*guarantee, limit, off"),
        ("--reseval-oom=ok", "--reseval-oom = 'ok'*infra-error, failed"),
        ("--reseval-timeout-scale=-1", "--reseval-timeout-scale = '-1'*above 0"),
        ("--reseval-timeout-scale=1,0", "write a number above 0"),
        ("--reseval-headroom=lenient:2x", "lenient:2x/15s"),
        ("--reseval-headroom=lenient:2x/0s", "write a grace from 0.1s"),
        ("--reseval-cpu-headroom=lenient:2x/15s", "CPU is throttled, never killed"),
        ("--reseval-seed=-1", "write a whole number from 0"),
        (
            "--reseval-fail-under=60%",
            "--reseval-fail-under = '60%': write a fraction from 0 to 1",
        ),
    ],
)
def test_a_mistaken_option_is_one_clear_error(
    make_task: MakeTask, run: Run, argument: str, told: str
) -> None:
    make_task("small")
    result = run(argument)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{told}*"])
    assert "Traceback" not in result.stderr.str()


def test_a_mistaken_ini_value_names_the_file(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    make_task("small")
    pytester.makeini("[pytest]\nreseval_default_memory = lots\n")
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*tox.ini: reseval_default_memory*'lots'*"])


def test_hidden_tests_stay_hidden_when_only_their_directory_is_named(
    make_task: MakeTask, pytester: pytest.Pytester
) -> None:
    mark = pytester.path / "mark"
    hidden = make_task("small") / "tests" / "test_hidden.py"
    hidden.write_text(TRAP.format(mark=str(mark)))
    result = pytester.runpytest_subprocess("tasks", "--collect-only", "-q")
    assert collected(result) == ["tasks/small/task.toml::run[3x-s0]"]
    assert not mark.exists()


@pytest.mark.parametrize("option", ["--reseval-results", "--reseval-ledger"])
@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_folder_that_cannot_be_written_is_one_clear_error(
    make_task: MakeTask, run: Run, option: str, workers: str
) -> None:
    make_task("small")
    result = run(f"{option}=/proc/nowhere", workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*/proc/nowhere*{option}*"])
    assert "Traceback" not in result.stderr.str()
