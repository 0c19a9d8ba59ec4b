"""What an agent tells of its own service: on record when it makes sense, and never a verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.plugin.conftest import SOLVE, MakeTask

Run = Callable[..., pytest.RunResult]
Records = Callable[[], dict[str, dict[str, Any]]]

TOLD = {"requests": 12, "seconds": 80.5, "errors": 1}


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_what_a_command_tells_is_on_record(
    make_task: MakeTask, run: Run, records: Records, workers: str
) -> None:
    make_task("told")
    said = '{"requests": 12, "seconds": 80.5, "errors": 1}'
    run(
        workers, f"--reseval-agent=cmd:{SOLVE}; echo '{said}' > $RESEVAL_SERVICE_FILE"
    ).assert_outcomes(passed=1)
    (record,) = records().values()
    assert record["conditions"]["service"] == TOLD
    assert record["conditions"]["service_problem"] is None
    host = record["conditions"]["host"]
    assert 0 < host["seconds"] < record["seconds"]


HOSTILE = {
    "symlink": "ln -s /etc/passwd $F",
    "huge": "head -c 100000 /dev/zero | tr '\\0' 1 > $F",
    "nan": """echo '{"seconds": NaN}' > $F""",
    "overflow": """echo '{"seconds": 1e999}' > $F""",
    "negative": """echo '{"requests": -1}' > $F""",
    "text": "echo fast > $F",
    "binary": "head -c 100 /dev/urandom > $F; printf '\\377' >> $F",
    "deep": "head -c 4000 /dev/zero | tr '\\0' '[' > $F",
    "pipe": "mkfifo $F",
    "directory": "mkdir $F",
    "key": """printf '{"\\\\u001b[2J": 1}' > $F""",
}


def test_a_report_that_makes_no_sense_is_a_note_and_costs_nothing(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    """What each task's agent does is in its instruction: one command runs them all."""
    for name, command in HOSTILE.items():
        for end, solve in (("solved", SOLVE), ("wrong", "true")):
            folder = make_task(f"{name}-{end}")
            instruction = f"F=$RESEVAL_SERVICE_FILE; rm -rf $F; {command}\n{solve}\n"
            (folder / "instruction.md").write_text(instruction)
    result = run("-n2", "--reseval-agent=cmd:sh $RESEVAL_INSTRUCTION_FILE")
    result.assert_outcomes(passed=len(HOSTILE), failed=len(HOSTILE))
    for record in records().values():
        assert record["cause"] == record["task"].rpartition("-")[2]
        conditions = record["conditions"]
        assert conditions["service"] is None, record["task"]
        assert conditions["service_problem"].startswith("/logs/agent/service.json: "), record[
            "task"
        ]
        assert conditions["service_problem"].isprintable()
        assert len(conditions["service_problem"]) <= 200


def test_what_an_agent_on_our_side_tells_is_on_record(
    make_task: MakeTask, run: Run, records: Records, pytester: pytest.Pytester
) -> None:
    make_task("answered")
    make_task("refused")
    make_task("silent")
    make_task("nonsense")
    pytester.makeconftest(
        f"""
        from pytest_reseval.agents.base import AgentServiceError, Solved
        from pytest_reseval.service import ServiceUse

        class Remote:
            name = "remote"
            def unsupported(self, task):
                return None
            def solve(self, task, sandbox, timeout, seed):
                use = ServiceUse(requests=12, seconds=80.5, errors=1)
                if task.name == "refused":
                    raise AgentServiceError("429", service=use)
                result = sandbox.exec({SOLVE!r})
                if task.name == "silent":
                    return result
                if task.name == "nonsense":
                    use = {{"requests": 1}}
                return Solved.after(result, use)

        def pytest_reseval_agent(name):
            return Remote() if name == "remote" else None
        """
    )
    run("--reseval-agent=remote")
    found = {record["task"]: record for record in records().values()}
    assert {task: record["cause"] for task, record in found.items()} == {
        "answered": "solved",
        "refused": "agent-service",
        "silent": "solved",
        "nonsense": "solved",
    }
    told = {task: record["conditions"]["service"] for task, record in found.items()}
    assert told == {"answered": TOLD, "refused": TOLD, "silent": None, "nonsense": None}
    problems = {task: record["conditions"]["service_problem"] for task, record in found.items()}
    assert [task for task, problem in problems.items() if problem] == ["nonsense"]
