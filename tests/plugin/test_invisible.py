"""A project that has the plugin installed and does not use it must not notice."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(
        """
        import pytest

        def test_passes(): pass
        def test_fails(): assert False
        @pytest.fixture
        def broken(): raise RuntimeError
        def test_errs(broken): pass
        """
    )
    data = pytester.mkdir("data")
    (data / "task.toml").write_text("[environment\n")
    (data / "test_inner.py").write_text("def test_inner(): pass\n")
    return pytester


@pytest.mark.parametrize("arguments", [(), ("-n2",), ("-v", "-rA")], ids=" ".join)
def test_output_and_status_are_those_without_the_plugin(
    project: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    with_plugin = project.runpytest_subprocess(*arguments, "-p", "no:cacheprovider")
    without = project.runpytest_subprocess(*arguments, "-p", "no:reseval", "-p", "no:cacheprovider")
    assert with_plugin.ret == without.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = with_plugin.parseoutcomes()
    assert outcomes == without.parseoutcomes() == {"passed": 2, "failed": 1, "errors": 1}
    assert "reseval" not in "\n".join(
        line for line in with_plugin.outlines if not line.startswith("plugins:")
    )
    assert not (project.path / "reseval-runs").exists()


CHUNK = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_xdist_make_scheduler(config):
    config.scheduler = yield
    return config.scheduler

def pytest_terminal_summary(config, terminalreporter):
    terminalreporter.write_line(f"handed out {config.scheduler.maxschedchunk} at a time")
"""


@pytest.mark.parametrize(
    ("test", "chunk"),
    [("def test_x(n): pass", 40), ("def test_x(n, reseval_plan): pass", 1)],
    ids=["others", "trials"],
)
def test_trials_alone_are_handed_out_one_at_a_time(
    pytester: pytest.Pytester, test: str, chunk: int
) -> None:
    pytest.importorskip("xdist")
    pytester.makeconftest(CHUNK)
    pytester.makepyfile(f"import pytest\n@pytest.mark.parametrize('n', range(40))\n{test}")
    result = pytester.runpytest_subprocess("-n2")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"handed out {chunk} at a time"])


def test_a_crash_is_told_as_without_the_plugin(pytester: pytest.Pytester) -> None:
    """Of items that are no trials, even when their worker dies once all of them was reported."""
    pytest.importorskip("xdist")
    pytester.makeconftest(
        """
        import os

        def pytest_runtest_logfinish(nodeid):
            if "PYTEST_XDIST_WORKER" in os.environ and nodeid.endswith("[3]"):
                os._exit(1)
        """
    )
    pytester.makepyfile(
        "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_x(n): pass"
    )
    with_plugin = pytester.runpytest_subprocess("-n2")
    without = pytester.runpytest_subprocess("-n2", "-p", "no:reseval")
    assert with_plugin.ret == without.ret == pytest.ExitCode.TESTS_FAILED
    assert with_plugin.parseoutcomes() == without.parseoutcomes()


def test_importing_the_plugin_imports_nothing_heavy() -> None:
    heavy = {"docker", "psutil", "msgspec", "tabulate", "requests", "xdist", "tomllib", "numpy"}
    code = (
        "import sys, pytest; before = set(sys.modules); import pytest_reseval.plugin; "
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & {name.partition(".")[0] for name in done.stdout.split()}
