from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pytest_reseval.commands import main
from tests.synthetic_run import Shape, write_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", Shape(tasks=2, samples=1)).path


def test_it_writes_a_page_and_markdown(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    done = CliRunner().invoke(main, ["report", str(folder), "-o", str(file), "--markdown", "-"])
    assert done.exit_code == 0, done.output
    assert file.read_text().startswith("<!DOCTYPE html>")
    assert done.stdout.startswith("## 20260102T030405-abcdef")
    assert str(file) in done.stderr


@pytest.mark.parametrize("content", [None, "{", '{"run": 1}'])
def test_a_folder_without_a_run_is_one_message(tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    if content is not None:
        (folder / "manifest.json").write_text(content)
    done = CliRunner().invoke(main, ["report", str(folder), "-o", str(tmp_path / "page.html")])
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert str(folder) in done.stderr
    assert not (tmp_path / "page.html").exists()


def test_a_file_that_cannot_be_written_is_one_message(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "not-there" / "page.html"
    done = CliRunner().invoke(main, ["report", str(folder), "-o", str(target)])
    assert done.exit_code == 2
    assert done.stderr == f"Error: {target}: No such file or directory\n"


def test_markdown_that_cannot_be_written_is_one_message(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "not-there" / "page.md"
    page = tmp_path / "page.html"
    done = CliRunner().invoke(
        main, ["report", str(folder), "-o", str(page), f"--markdown={target}"]
    )
    assert done.exit_code == 2
    assert str(target) in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("missing", ["jinja2", "scipy", "numpy"])
def test_without_the_extra_it_names_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "pytest_reseval.reports.findings":
            raise ModuleNotFoundError(f"No module named {missing!r}", name=f"{missing}.part")
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    done = CliRunner().invoke(main, ["report", str(folder)])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"Error: reseval report needs {missing}: ")
    assert "pip install 'pytest-reseval[study]'" in done.stderr


def test_help_teaches() -> None:
    done = CliRunner().invoke(main, ["report", "--help"])
    assert done.exit_code == 0
    assert "GITHUB_STEP_SUMMARY" in done.output
