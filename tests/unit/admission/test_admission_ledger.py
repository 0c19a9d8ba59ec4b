from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_reseval.admission import (
    Admission,
    Budget,
    Claim,
    ClaimTooLarge,
    Ledger,
    LedgerError,
    default_directory,
    files,
)
from pytest_reseval.admission.queue import Place

BUDGET = Budget(memory=100, cores=4.0)


def claim(memory: int = 60, cores: float = 1.0, label: str = "bn-fit") -> Claim:
    return Claim(memory, cores, "run-1", label)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.005)


class Waiter(threading.Thread):
    """A thread that asks for admission."""

    def __init__(self, ledger: Ledger, claim: Claim) -> None:
        super().__init__(daemon=True)
        self.ledger = ledger
        self.claim = claim
        self.admission: Admission | None = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.admission = self.ledger.admit(self.claim)
        except BaseException as error:
            self.error = error

    def result(self) -> Admission:
        self.join(60)
        assert self.error is None
        assert self.admission is not None, "still waiting"
        return self.admission


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ledger(directory: Path) -> Ledger:
    return Ledger(directory, BUDGET)


def states(ledger: Ledger) -> dict[str, str]:
    return {entry.claim.label: entry.state for entry in ledger.entries()}


def descriptors() -> set[int]:
    listed = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    return {number for number in listed if Path(f"/proc/self/fd/{number}").is_symlink()}


def ours(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.name != "tickets"]


class TestAdmission:
    def test_an_empty_host_admits_at_once_and_shows_it(self, ledger: Ledger) -> None:
        before = files.now()
        with ledger.admit(claim()) as admission:
            (entry,) = ledger.entries()
            assert entry.claim == claim()
            assert entry.state == "admitted"
            assert entry.pid == os.getpid()
            assert entry.phase == ""
            assert before - 1e-6 <= entry.since <= files.now()
            assert 0 <= admission.waited <= files.now() - before
        assert ledger.entries() == []

    def test_nothing_is_left_but_the_counter(self, ledger: Ledger, directory: Path) -> None:
        ledger.admit(claim()).release()
        assert ours(directory) == []

    def test_what_does_not_fit_waits_until_it_does(self, ledger: Ledger) -> None:
        first = ledger.admit(claim(label="first"))
        waiter = Waiter(ledger, claim(label="second"))
        until(lambda: states(ledger) == {"first": "admitted", "second": "waiting"})
        first.release()
        with waiter.result() as second:
            assert second.waited > 0
            assert states(ledger) == {"second": "admitted"}

    def test_a_small_one_goes_past_a_big_one_that_must_wait(self, ledger: Ledger) -> None:
        first = ledger.admit(claim(label="first"))
        big = Waiter(ledger, claim(90, label="big"))
        until(lambda: "big" in states(ledger))
        with ledger.admit(claim(10, label="small")):
            assert states(ledger) == {"first": "admitted", "big": "waiting", "small": "admitted"}
        first.release()
        big.result().release()

    def test_overtakings_are_bounded_across_released_admissions(
        self, ledger: Ledger, directory: Path
    ) -> None:
        first = ledger.admit(claim(label="first"))
        big = Waiter(ledger, claim(90, label="big"))
        until(lambda: "big" in states(ledger))
        for _ in range(8):
            ledger.admit(claim(10, label="small")).release()
        ninth = Waiter(ledger, claim(10, label="ninth"))
        until(lambda: states(ledger).get("ninth") == "waiting")
        first.release()
        big.result().release()
        ninth.result().release()

    def test_too_large_is_told_and_not_entered(self, ledger: Ledger, directory: Path) -> None:
        with pytest.raises(ClaimTooLarge, match="memory 101 B of 100 B"):
            ledger.admit(claim(101))
        assert not directory.exists()

    def test_release_is_harmless_twice(self, ledger: Ledger) -> None:
        admission = ledger.admit(claim(label="first"))
        admission.release()
        with ledger.admit(claim(label="second")):
            admission.release()
            assert states(ledger) == {"second": "admitted"}

    def test_tenths_of_cores_fill_the_budget(self, directory: Path) -> None:
        ledger = Ledger(directory, Budget(100, 0.3))
        admissions = [ledger.admit(claim(1, 0.1)) for _ in range(3)]
        assert len(ledger.entries()) == 3
        for admission in admissions:
            admission.release()

    def test_each_goes_by_its_own_budget_on_the_total_of_all(
        self, ledger: Ledger, directory: Path
    ) -> None:
        first = ledger.admit(claim(60, label="first"))
        narrow = Waiter(Ledger(directory, Budget(80, 4.0)), claim(30, label="narrow"))
        until(lambda: states(ledger).get("narrow") == "waiting")
        first.release()
        narrow.result().release()

    def test_recorded_claims_never_wait_but_count(self, ledger: Ledger) -> None:
        recorded = [ledger.record(claim(200, label=f"off-{n}")) for n in range(2)]
        assert recorded[0].waited == 0
        assert states(ledger) == {"off-0": "admitted", "off-1": "admitted"}
        waiter = Waiter(ledger, claim(1, label="polite"))
        until(lambda: states(ledger).get("polite") == "waiting")
        for admission in recorded:
            admission.release()
        waiter.result().release()

    def test_ledgers_in_different_directories_are_independent(self, tmp_path: Path) -> None:
        one, other = Ledger(tmp_path / "one", BUDGET), Ledger(tmp_path / "other", BUDGET)
        with one.admit(claim(100)), other.admit(claim(100)):
            assert len(one.entries()) == len(other.entries()) == 1

    def test_threads_of_one_process_share_the_budget(self, ledger: Ledger) -> None:
        held = 0
        most = 0
        counting = threading.Lock()

        def hammer() -> None:
            nonlocal held, most
            for _ in range(20):
                with ledger.admit(claim(30, 0.5)):
                    with counting:
                        held += 1
                        most = max(most, held)
                    with counting:
                        held -= 1

        threads = [threading.Thread(target=hammer, daemon=True) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive()
        assert 1 <= most <= 3
        assert ledger.entries() == []


class TestTexts:
    def test_phases_are_shown(self, ledger: Ledger) -> None:
        with ledger.admit(claim()) as admission:
            for phase in ("build", "a much longer phase than the next", "agent"):
                admission.phase(phase)
                assert [entry.phase for entry in ledger.entries()] == [phase]
        admission.phase("after release")
        assert ledger.entries() == []

    def test_texts_cannot_drive_a_terminal_or_grow_without_bound(self, ledger: Ledger) -> None:
        with ledger.admit(claim(label="\x1b[2J\n\udcff" + "é" * 10_000)) as admission:
            admission.phase("\x1b" * 10_000)
            (entry,) = ledger.entries()
            assert entry.claim.label.startswith("\N{REPLACEMENT CHARACTER}[2J")
            assert entry.claim.label.isprintable()
            assert entry.phase.isprintable()
            assert len(entry.claim.label) == len(entry.phase) == 500

    def test_a_content_torn_at_any_byte_costs_its_texts_only(
        self, ledger: Ledger, directory: Path
    ) -> None:
        with ledger.admit(claim()) as admission:
            (name,) = ours(directory)
            whole = (directory / name).read_bytes()
            for length in range(len(whole)):
                (directory / name).write_bytes(whole[:length])
                (entry,) = ledger.entries()
                assert entry.claim == Claim(60, 1.0, "", "")
            (directory / name).write_bytes(b'{"run": 1, "label": [], "phase": null}')
            assert ledger.entries()[0].claim.label == ""
            waiter = Waiter(ledger, claim(label="second"))
            until(lambda: "second" in states(ledger))
            admission.phase("mended")
            assert ledger.entries()[0].claim == claim()
            admission.release()
            waiter.result().release()

    def test_a_full_disk_does_not_end_a_trial(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "pwrite", full)
        with ledger.admit(claim()) as admission:
            admission.phase("agent")
            assert ledger.entries()[0].claim == Claim(60, 1.0, "", "")


class TestStrangeDirectories:
    def test_what_dead_holders_left_is_removed(self, ledger: Ledger, directory: Path) -> None:
        ledger.admit(claim()).release()
        for name in (
            Place("admitted", 900, 100, 4.0, 1.0, 1).name,
            Place("waiting", 901, 100, 4.0, 1.0, 1).name,
            "unfinished_0123456789abcdef",
        ):
            (directory / name).write_bytes(b"\x00torn")
        assert ledger.entries() == []
        ledger.admit(claim(100)).release()
        assert ours(directory) == []

    def test_foreign_files_stay_and_do_not_matter(self, ledger: Ledger, directory: Path) -> None:
        ledger.admit(claim()).release()
        names = {"admitted_", "admitted_1_2_3_4_5", "README", "waiting_x", "admitted_-1_1_1_1_1"}
        for name in names:
            (directory / name).touch()
        ledger.admit(claim(100)).release()
        assert set(ours(directory)) == names

    def test_planted_links_pipes_and_directories_are_neither_followed_nor_waited_for(
        self, ledger: Ledger, directory: Path, tmp_path: Path
    ) -> None:
        ledger.admit(claim()).release()
        victim = tmp_path / "victim"
        victim.write_text("precious")
        (directory / Place("admitted", 1, 100, 4.0, 1.0, 1).name).symlink_to(victim)
        os.mkfifo(directory / Place("admitted", 2, 100, 4.0, 1.0, 1).name)
        (directory / Place("admitted", 3, 100, 4.0, 1.0, 1).name).mkdir()
        with victim.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            ledger.admit(claim(100)).release()
        assert ledger.entries() == []
        assert victim.read_text() == "precious"

    def test_a_link_for_the_counter_is_refused(
        self, ledger: Ledger, directory: Path, tmp_path: Path
    ) -> None:
        victim = tmp_path / "victim"
        victim.write_text("precious")
        directory.mkdir()
        (directory / "tickets").symlink_to(victim)
        with pytest.raises(LedgerError, match="tickets"):
            ledger.admit(claim())
        assert victim.read_text() == "precious"

    def test_a_link_for_the_directory_is_refused(self, ledger: Ledger, directory: Path) -> None:
        elsewhere = directory.with_name("elsewhere")
        elsewhere.mkdir()
        directory.symlink_to(elsewhere)
        with pytest.raises(LedgerError, match=str(directory)):
            ledger.admit(claim())
        assert list(elsewhere.iterdir()) == []

    def test_a_lost_counter_is_begun_again_after_the_last_ticket(
        self, ledger: Ledger, directory: Path
    ) -> None:
        for _ in range(5):
            ledger.admit(claim()).release()
        with ledger.admit(claim(10)):
            (directory / "tickets").unlink()
            with ledger.admit(claim(10)):
                tickets = [place.ticket for place in files.places(ours(directory))]
                assert sorted(tickets) == [6, 7]
        (directory / "tickets").write_bytes(b"")
        ledger.admit(claim()).release()
        assert (directory / "tickets").stat().st_size == 1

    def test_a_waiter_enters_anew_when_the_directory_is_cleared(
        self, ledger: Ledger, directory: Path
    ) -> None:
        first = ledger.admit(claim(label="first"))
        waiter = Waiter(ledger, claim(label="second"))
        until(lambda: states(ledger).get("second") == "waiting")
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()
        with waiter.result():
            assert states(ledger) == {"second": "admitted"}
            first.release()
            assert states(ledger) == {"second": "admitted"}

    def test_not_being_able_to_look_is_not_taken_for_death(
        self, ledger: Ledger, directory: Path
    ) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with ledger.admit(claim()):
            opened = files.open_directory(directory)
            (name,) = ours(directory)
            highest = max(descriptors())
            fillers = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest + 1)]
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(fillers[-1] + 1, soft), hard))
                with pytest.raises(OSError, match="Too many open files"):
                    files.read_if_alive(opened, name)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for descriptor in (*fillers, opened):
                    os.close(descriptor)

    def test_an_unusable_directory_is_named_with_the_mend(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        ledger = Ledger(tmp_path / "file", BUDGET)
        for use in (lambda: ledger.admit(claim()), lambda: ledger.record(claim()), ledger.entries):
            with pytest.raises(LedgerError, match=r"file: the ledger .*\(mode 1777\)"):
                use()


class TestSharing:
    def test_modes_let_all_users_take_part_whatever_the_umask(
        self, ledger: Ledger, directory: Path
    ) -> None:
        before = os.umask(0o077)
        try:
            admission = ledger.admit(claim())
        finally:
            os.umask(before)
        with admission:
            (name,) = ours(directory)
            modes = {
                path: stat.S_IMODE(path.stat().st_mode)
                for path in (directory, directory / "tickets", directory / name)
            }
        assert list(modes.values()) == [0o1777, 0o666, 0o644]

    def test_a_directory_that_was_there_keeps_its_mode(
        self, ledger: Ledger, directory: Path
    ) -> None:
        directory.mkdir(mode=0o700)
        ledger.admit(claim()).release()
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700

    def test_the_default_is_under_a_directory_for_all(self) -> None:
        parent = default_directory().parent
        assert parent.stat().st_mode & stat.S_ISVTX
        assert default_directory() == default_directory()

    def test_no_descriptor_is_left_open_or_passed_on(self, ledger: Ledger) -> None:
        before = descriptors()
        with ledger.admit(claim()):
            (held,) = descriptors() - before
            assert not os.get_inheritable(held)
            ledger.entries()
        assert descriptors() == before
