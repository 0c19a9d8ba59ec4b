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


def test_importing_the_plugin_imports_nothing_heavy() -> None:
    heavy = {"docker", "psutil", "msgspec", "tabulate", "requests", "xdist", "tomllib", "numpy"}
    code = (
        "import sys, pytest; before = set(sys.modules); import pytest_reseval.plugin; "
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & {name.partition(".")[0] for name in done.stdout.split()}
