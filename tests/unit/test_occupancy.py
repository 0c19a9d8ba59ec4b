from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_reseval.occupancy import Occupancy, Occupied, holders


def test_a_session_shares_its_folder_and_keeps_others_out(tmp_path: Path) -> None:
    first, second, other = (Occupancy(tmp_path, session) for session in ("a", "a", "b"))
    first.join(lambda: True)
    second.join(lambda: False)
    with pytest.raises(Occupied, match="being written by another run"):
        other.join(lambda: True)


def test_a_folder_that_holds_a_run_is_no_place_for_another(tmp_path: Path) -> None:
    with pytest.raises(Occupied, match="already holds a run"):
        Occupancy(tmp_path, "a").join(lambda: False)


def test_a_session_that_ended_is_taken_over_and_its_stragglers_are_kept_out(tmp_path: Path) -> None:
    ended, taking, late = (Occupancy(tmp_path, session) for session in ("a", "b", "a"))
    ended.join(lambda: True)
    ended.release()
    taking.take_over(pytest.fail)
    with pytest.raises(Occupied):
        late.join(lambda: True)
    taking.release()
    with pytest.raises(Occupied):
        late.join(lambda: False)


def test_a_session_that_goes_on_is_waited_for_in_vain(tmp_path: Path) -> None:
    told: list[str] = []
    Occupancy(tmp_path, "a").join(lambda: True)
    kept = Occupancy(tmp_path, "a")
    kept.join(lambda: True)
    with pytest.raises(Occupied, match="still being written"):
        Occupancy(tmp_path, "b").take_over(told.append, patience=0.0)
    assert len(told) == 1


def test_those_who_hold_a_file_are_found(tmp_path: Path) -> None:
    file = tmp_path / "held"
    file.touch()
    assert holders(file) == []
    child = os.fork()
    if child == 0:
        os.open(file, os.O_RDONLY)
        os.kill(os.getpid(), 19)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    try:
        assert holders(file) == [child]
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
