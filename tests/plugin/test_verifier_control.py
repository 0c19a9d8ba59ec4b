"""Whose fault it is that a verifier did not do its work: decided where no agent has been."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.conftest import CHECK, SOLVE, MakeTask

Run = Callable[..., pytest.RunResult]
Records = Callable[[], dict[str, dict[str, Any]]]

INFRA_ONLY = 75
EVERYWHERE = pytest.mark.parametrize("workers", ["-n0", "-n2"])

REPORT = """echo '{"results": {"tests": [{"name": "answer"}]}}' > /logs/verifier/ctrf.json"""

FETCHING = """\
python3 - <<'PYTHON' && sh /tmp/runner
import urllib.request
urllib.request.urlretrieve("http://127.0.0.1:%(port)d/runner", "/tmp/runner")
PYTHON
[ -e /logs/verifier/reward.txt ] || echo 0 > /logs/verifier/reward.txt
# the report is /logs/verifier/ctrf.json
"""
"""As real checks do it: fetch the test runner, run it, and write 0 when that went wrong."""


class ToolServer:
    """Serves the test runner; refuses connections while it is down."""

    def __init__(self, folder: Path) -> None:
        (folder / "runner").write_text(f"{CHECK}\n{REPORT}\n")
        handler = functools.partial(_Silent, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[ToolServer]:
    server = ToolServer(tmp_path)
    yield server
    server.stop()


def cause_of(records: Records, task: str) -> tuple[str, str]:
    (line,) = [line for line in records().values() if line["task"] == task]
    return line["outcome"], line["cause"]


@EVERYWHERE
def test_a_verifier_that_cannot_fetch_its_tools_is_no_failure(
    make_task: MakeTask, run: Run, records: Records, tools: ToolServer, workers: str
) -> None:
    make_task("fetching", check=FETCHING % {"port": tools.port})
    tools.stop()
    assert run(workers).ret == INFRA_ONLY
    assert cause_of(records, "fetching") == ("infra-error", "verifier-incomplete")
    (line,) = records().values()
    assert line["evidence"]["reward"] == 0.0
    assert line["evidence"]["checks_reported"] is False
    assert line["evidence"]["control"]["ran"] is False


@EVERYWHERE
def test_an_agent_that_breaks_the_tools_on_purpose_is_not_excused(
    make_task: MakeTask, run: Run, records: Records, tools: ToolServer, workers: str
) -> None:
    breaks = "rm -f $(command -v python3); rm -f /usr/bin/python3*"
    make_task("fetching", solve=breaks, check=FETCHING % {"port": tools.port})
    assert run(workers).ret == pytest.ExitCode.TESTS_FAILED
    assert cause_of(records, "fetching") == ("failed", "wrong")
    (line,) = records().values()
    assert line["evidence"]["control"]["ran"] is True
    assert "pristine" in line["message"]


def test_a_check_that_needs_something_to_check_excuses_no_idler(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    """On an untouched sandbox it writes nothing, as a check that cannot import the answer does."""
    make_task("needy", check=f"[ -e /app/answer ] || exit 2; {CHECK}")
    assert run("--reseval-agent=nop").ret == pytest.ExitCode.TESTS_FAILED
    assert cause_of(records, "needy") == ("failed", "wrong")
    (line,) = records().values()
    assert line["evidence"]["control"]["detail"].endswith("after the solution, it wrote reward 1")


def test_a_wrong_answer_with_a_report_needs_no_control(
    make_task: MakeTask, run: Run, records: Records, tools: ToolServer
) -> None:
    make_task("fetching", solve="true", check=FETCHING % {"port": tools.port})
    assert run().ret == pytest.ExitCode.TESTS_FAILED
    (line,) = records().values()
    assert line["evidence"]["checks_reported"] is True
    assert line["evidence"]["control"] is None


def test_a_forged_report_takes_the_excuse_away_and_gives_none(
    make_task: MakeTask, run: Run, records: Records, tools: ToolServer
) -> None:
    forge = f"(until [ -e /logs/verifier/reward.txt ]; do :; done; {REPORT}) & {SOLVE}"
    make_task("fetching", solve=forge, check=FETCHING % {"port": tools.port} + "sleep 1\n")
    tools.stop()
    assert run().ret == pytest.ExitCode.TESTS_FAILED
    assert cause_of(records, "fetching") == ("failed", "wrong")


BREAKING = {
    "no-shell": "rm -f /bin/sh /bin/bash /usr/bin/sh /usr/bin/bash",
    "rm-that-stalls": "printf '#!/bin/sh\\nsleep 1000\\n' > /tmp/x; chmod 755 /tmp/x; "
    "cp /tmp/x /bin/rm",
    "tests-in-a-loop": "printf '#!/bin/sh\\n' > /tmp/x; chmod 755 /tmp/x; ln -s /tests /tests; "
    "cp /tmp/x /bin/mkdir; cp /tmp/x /bin/rm",
    "tests-as-a-file": "printf '#!/bin/sh\\n' > /tmp/x; chmod 755 /tmp/x; echo > /tests; "
    "cp /tmp/x /bin/mkdir; cp /tmp/x /bin/rm",
    "rewards-elsewhere": "(while :; do rm -rf /logs/verifier; done) &",
    "reward-as-a-pipe": "(while :; do rm -f /logs/verifier/reward.txt; "
    "mkfifo /logs/verifier/reward.txt; done) 2>/dev/null &",
    "killed-verifier": "(while :; do for p in /proc/[0-9]*; do grep -qs tests/test.sh $p/cmdline "
    "&& kill -9 ${p#/proc/}; done; done) 2>/dev/null &",
    "stopped-verifier": "(while :; do for p in /proc/[0-9]*; do grep -qs tests/test.sh $p/cmdline "
    "&& kill -STOP ${p#/proc/}; done; done) 2>/dev/null &",
}
"""Ways in which an agent that is root keeps the verifier in its sandbox from its work."""


@pytest.mark.root
def test_whatever_an_agent_does_to_its_verifier_it_gets_no_excuse(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    slow_check = (
        'sleep 0.5; test "$(cat /app/answer)" = 42; echo $((1 - $?)) > /logs/verifier/reward.txt'
    )
    for name, solve in BREAKING.items():
        make_task(name, solve=solve, check=slow_check, toml="[verifier]\ntimeout_sec = 10")
    assert run("-n2", "--reseval-headroom=uncapped").ret == pytest.ExitCode.TESTS_FAILED
    verdicts = {line["task"]: (line["outcome"], line["cause"]) for line in records().values()}
    assert verdicts == dict.fromkeys(BREAKING, ("failed", "wrong"))


@EVERYWHERE
def test_one_control_speaks_for_all_trials_of_a_task(
    make_task: MakeTask, run: Run, records: Records, workers: str
) -> None:
    make_task("silent", check="true")
    assert run(workers, "--reseval-samples=4").ret == INFRA_ONLY
    started = {line["evidence"]["control"]["started"] for line in records().values()}
    assert len(records()) == 4
    assert len(started) == 1


def test_a_verifier_that_is_slow_everywhere_is_no_failure(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    make_task("stuck", check="sleep 1000", toml="[verifier]\ntimeout_sec = 1")
    assert run().ret == INFRA_ONLY
    assert cause_of(records, "stuck") == ("infra-error", "verifier-timeout")
