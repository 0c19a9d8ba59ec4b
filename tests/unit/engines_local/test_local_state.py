from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_reseval.engines.local import state


def test_a_living_owner_has_no_orphans(tmp_path: Path) -> None:
    private = state.new_private_directory(tmp_path)
    assert private.stat().st_mode & 0o777 == 0o700
    assert state.orphans(tmp_path) == []


def test_a_dead_owner_leaves_orphans(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pytest_reseval.engines.local import state; "
        "private = state.new_private_directory(Path(sys.argv[1])); "
        "state.record_cgroups(private, [Path('/a'), Path('/b')]); print(private)"
    )
    repository = Path(state.__file__).parents[3]
    made = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    [orphan] = state.orphans(tmp_path)
    assert str(orphan) == made.stdout.strip()
    assert state.recorded_cgroups(orphan) == [Path("/a"), Path("/b")]


def test_a_reused_process_number_is_no_owner(tmp_path: Path) -> None:
    boot, namespace, pid, start, random = state.new_private_directory(tmp_path).name.split("-")
    reused = tmp_path / f"{boot}-{namespace}-{pid}-{int(start) + 1}-{random}"
    reused.mkdir()
    assert state.orphans(tmp_path) == [reused]


def test_another_boot_is_over_but_another_namespace_may_live(tmp_path: Path) -> None:
    boot, namespace, *_ = state.new_private_directory(tmp_path).name.split("-")
    earlier = tmp_path / f"00000000-{namespace}-{os.getpid()}-1-ab"
    elsewhere = tmp_path / f"{boot}-1-999999999-1-ab"
    for directory in (earlier, elsewhere, tmp_path / "of somebody else"):
        directory.mkdir()
    assert state.orphans(tmp_path) == [earlier]


def test_no_record_means_no_cgroups(tmp_path: Path) -> None:
    assert state.recorded_cgroups(tmp_path) == []
    (tmp_path / "cgroups.json").write_text('["/a"')
    assert state.recorded_cgroups(tmp_path) == []
    (tmp_path / "cgroups.json").write_text(json.dumps(["/a"]))
    assert state.recorded_cgroups(tmp_path) == [Path("/a")]


def test_a_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    shared, link = tmp_path / "shared", tmp_path / "link"
    shared.mkdir()
    shared.chmod(0o755)
    link.symlink_to(tmp_path)
    for directory in (shared, link):
        with pytest.raises(state.StateError, match="0700"):
            state.prepare_directory(directory)
    state.prepare_directory(tmp_path / "a" / "new")
    state.prepare_directory(tmp_path / "a" / "new")


def test_sandboxes_live_on_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    disk, memory = {"/": "ext4"}, {"/": "ext4", "/var/tmp": "tmpfs"}
    assert state.choose_directory(disk).parent == Path("/var/tmp")
    assert state.choose_directory(memory) == Path("/cache/pytest-reseval")
    with pytest.raises(state.StateError, match="XDG_CACHE_HOME"):
        state.choose_directory({"/": "overlay"})


def test_whatever_modes_are_left_it_is_removed(tmp_path: Path) -> None:
    private = tmp_path / "private"
    (private / "shut" / "in").mkdir(parents=True)
    (private / "shut" / "in" / "file").touch()
    (private / "shut" / "in").chmod(0)
    (private / "shut").chmod(0)
    state.remove(private)
    assert not private.exists()
