"""``reseval clean``: what it shows, what it removes, and what it answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_reseval.admission import Budget, Claim, Ledger
from pytest_reseval.admission.janitor import LedgerJanitor
from pytest_reseval.commands import clean, main
from pytest_reseval.engines.base import EngineLost, EngineUnavailable
from pytest_reseval.engines.local import state
from pytest_reseval.engines.local.janitor import LocalJanitor
from pytest_reseval.janitor import CannotRemove, Janitor, Orphan, sweep, whose

ROOT = Path(__file__).parents[2]


class Shelf:
    """A janitor of things in a list."""

    def __init__(self, *names: str, stuck: str = "") -> None:
        self.left = list(names)
        self._stuck = stuck

    def orphans(self) -> list[Orphan]:
        return [Orphan("thing", name, "run r, process 1", name) for name in self.left]

    def remove(self, orphan: Orphan) -> None:
        if orphan.name == self._stuck:
            raise CannotRemove("it is\nstuck")
        self.left.remove(orphan.name)


class Lost(Shelf):
    def orphans(self) -> list[Orphan]:
        raise EngineLost("it went away")


@pytest.fixture
def shelves(monkeypatch: pytest.MonkeyPatch) -> dict[str, Janitor]:
    """What stands for the engines; one that is missing does not answer."""
    janitors: dict[str, Janitor] = {}

    @contextmanager
    def janitor(name: str) -> Iterator[Janitor]:
        if name not in janitors:
            raise EngineUnavailable(f"no {name}\nhere", "Start it")
        yield janitors[name]

    monkeypatch.setattr(clean, "janitor_of", janitor)
    return janitors


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def answered(arguments: list[str]) -> int:
    """The exit status of a command."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_nothing_is_left(
    shelves: dict[str, Janitor], ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelves["docker"] = Shelf()
    assert answered(["clean", f"--ledger={ledger}"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "local: not looked at: no local here",
        "nothing of dead runs was found",
    ]
    assert not ledger.exists()


def test_each_thing_has_a_line(
    shelves: dict[str, Janitor], ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelves |= {"docker": Shelf("a", "b\x1b[2J"), "local": (local := Shelf("c"))}
    assert answered(["clean", f"--ledger={ledger}"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "thing  a         run r, process 1  removed",
        "thing  b\\x1b[2J  run r, process 1  removed",
        "thing  c  run r, process 1  removed",
        "3 removed",
    ]
    assert local.left == []


def test_a_dry_run_changes_nothing(
    shelves: dict[str, Janitor], ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelves |= {"docker": (shelf := Shelf("a")), "local": Shelf()}
    assert answered(["clean", "--dry-run", f"--ledger={ledger}"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "thing  a  run r, process 1  would be removed",
        "1 left of dead runs; nothing was changed",
    ]
    assert shelf.left == ["a"]


def test_what_stays_is_told_and_answered(
    shelves: dict[str, Janitor], ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelves |= {"docker": Shelf("a", "b", stuck="a"), "local": Shelf()}
    assert answered(["clean", f"--ledger={ledger}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("not removed: it is stuck")
    assert lines[-1] == "1 removed, 1 not"


def test_an_engine_that_goes_away_is_told_and_answered(
    shelves: dict[str, Janitor], ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelves |= {"docker": Lost(), "local": Shelf()}
    assert answered(["clean", f"--ledger={ledger}"]) == 1
    assert "docker: not looked at: it went away" in capsys.readouterr().out


def test_sweeping_leaves_what_is_stuck() -> None:
    assert sweep(Shelf("a", "b", stuck="a")) == ["b"]


def test_an_owner_in_words() -> None:
    assert whose(run="r", trial=None, pid=12) == "run r, process 12"
    assert whose(run=None, trial="", pid=None) == ""


def dead(program: str, *arguments: str) -> str:
    """Run a program that prints a line and is then killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", program + "\nprint(flush=True); input()", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        assert process.stdout is not None
        told = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    return told.strip()


CLAIMS = """
import sys
from pathlib import Path
from pytest_reseval.admission import Budget, Claim, Ledger
held = Ledger(Path(sys.argv[1]), Budget(9, 9)).record(Claim(1, 1, "a-run", "a-trial"))
"""


def test_dead_claims_go_and_living_ones_stay(ledger: Path) -> None:
    with Ledger(ledger, Budget(9, 9)).record(Claim(1, 1, "run", "living")):
        dead(CLAIMS, str(ledger))
        janitor = LedgerJanitor(ledger)
        before = set(ledger.iterdir())
        [orphan] = janitor.orphans()
        assert set(ledger.iterdir()) == before
        assert orphan.owner.startswith("run a-run, trial a-trial, process ")
        janitor.remove(orphan)
        janitor.remove(orphan)
        assert janitor.orphans() == []
        assert before - set(ledger.iterdir()) == {ledger / orphan.name}


@pytest.mark.root
def test_a_claim_of_another_user_may_not_be_removed() -> None:
    if os.geteuid():
        pytest.skip("needs root")
    folder = Path("/tmp") / f"reseval-test-{os.getpid()}"
    try:
        dead(CLAIMS, str(folder))
        janitor = LedgerJanitor(folder)
        [orphan] = janitor.orphans()
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            os.setuid(65534)
            try:
                janitor.remove(orphan)
            except CannotRemove as refused:
                os.write(writing, str(refused).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as told:
            assert told.read() == "it belongs to uid 0: Operation not permitted"
        os.waitpid(child, 0)
        assert janitor.orphans() == [orphan]
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


DIRECTORY = """
import sys
from pathlib import Path
from pytest_reseval.engines.local import state
private = state.new_private_directory(Path(sys.argv[1]))
state.record_labels(private, {"run": "a-run", "trial": "a-trial"})
state.record_cgroups(private, [Path(sys.argv[2])])
print(private, end="")
"""


def test_private_directories_of_the_dead(tmp_path: Path) -> None:
    home, precious = tmp_path / "state", tmp_path / "precious"
    home.mkdir(mode=0o700)
    precious.mkdir()
    private = dead(DIRECTORY, str(home), str(precious))
    living = state.new_private_directory(home)
    janitor = LocalJanitor(home)
    [orphan] = [one for one in janitor.orphans() if one.kind == "directory"]
    assert orphan.name == private
    assert orphan.owner.startswith("run a-run, trial a-trial, process ")
    assert Path(private).exists()
    janitor.remove(orphan)
    assert list(home.iterdir()) == [living]
    assert precious.exists(), "only a directory with a sandbox's name is its cgroup"


def test_a_state_directory_of_others_is_not_trusted(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(CannotRemove, match="0700"):
        LocalJanitor(tmp_path).orphans()
