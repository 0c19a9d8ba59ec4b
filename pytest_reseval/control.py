"""Whether a task's verifier works at all: the same check, where no agent has been.

A verifier that cannot fetch its own tools writes reward 0, or nothing, and so does one whose
sandbox an agent broke on purpose. What is seen in the agent's sandbox cannot tell the two apart;
a pristine sandbox of the same image can.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pytest_reseval.admission import ClaimTooLarge
from pytest_reseval.agents.oracle import Oracle
from pytest_reseval.engines.base import EngineError, SandboxFileError
from pytest_reseval.harness import Harness
from pytest_reseval.outcomes import Control
from pytest_reseval.plans import TrialPlan, verifier_plan
from pytest_reseval.printable import printable
from pytest_reseval.provision import Provision
from pytest_reseval.verification import Verification, verify

WINDOW = 300.0
"""Seconds for which one control speaks for all trials of a task: networks come and go."""


class _Kept(msgspec.Struct):
    """A control on file, and when it ended, in seconds of CLOCK_BOOTTIME."""

    ended: float
    control: Control


def controlled(plan: TrialPlan, harness: Harness, trial_id: str) -> Control | None:
    """A control of the plan's task not older than WINDOW, run now if there is none.

    Of several workers that want the same one, one runs it and the others wait. None when no
    pristine sandbox could be had, so that nothing is known.
    """
    assert plan.task is not None
    file = harness.directory.control_file(plan.task.digest, plan.configuration.label)
    with _alone(file):
        known = _fresh(file)
        if known is not None:
            return known
        control = _run(plan, harness, trial_id)
        if control is not None:
            _keep(file, control)
        return control


def _run(plan: TrialPlan, harness: Harness, trial_id: str) -> Control | None:
    """Run the check where nobody has been; if that comes to nothing, after the reference solution.

    A check may need something to check: that it stumbles over an untouched sandbox excuses nobody
    as long as it works for the reference solution.
    """
    assert plan.task is not None
    untouched = _verified(plan, harness, trial_id, solved=False)
    if untouched is None or untouched.ran or plan.task.solution is None or plan.verifier:
        return untouched
    solved = _verified(plan, harness, trial_id, solved=True)
    if solved is None:
        return untouched
    return replace(solved, detail=f"{untouched.detail}; after the solution, {solved.detail}")


def _verified(plan: TrialPlan, harness: Harness, trial_id: str, *, solved: bool) -> Control | None:
    assert plan.task is not None
    where = plan if plan.verifier is None else verifier_plan(plan)
    started, began = datetime.now(UTC), time.monotonic()
    provision = Provision(where, harness, trial_id, began, None, "control")
    try:
        sandbox = provision.start()
        if solved:
            Oracle().solve(plan.task, sandbox, plan.scaled(plan.task.agent_timeout), plan.seed)
        with provision.phase("verifier") as execution:
            found = verify(plan.task, sandbox, plan.scaled(plan.task.verifier_timeout))
            execution.result = found.result
    except (EngineError, ClaimTooLarge, SandboxFileError):
        return None
    finally:
        with suppress(EngineError):  # what cannot be removed now is the next sweep's
            provision.close()
    ran, detail = checks_ran(found)
    return Control(
        started=started.isoformat(timespec="milliseconds"),
        seconds=time.monotonic() - began,
        ran=ran,
        detail=printable(detail),
        output_tail=provision.phases[-1].output_tail,
    )


def checks_ran(found: Verification) -> tuple[bool, str]:
    """Whether a verifier in a pristine sandbox got as far as its checks, and how that is known."""
    if found.result is not None and found.result.timed_out:
        return False, "it ran out of time"
    if found.reward is None:
        return False, found.problem or "it wrote no reward"
    if found.checks_reported is False:
        return False, f"it wrote reward {found.reward:g} but reported no check"
    return True, f"it wrote reward {found.reward:g}"


def _fresh(file: Path) -> Control | None:
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return kept.control if 0 <= _now() - kept.ended <= WINDOW else None


def _keep(file: Path, control: Control) -> None:
    """Put the control on file; a full disk costs only that the next trial runs its own."""
    draft = file.with_suffix(".new")
    with suppress(OSError):
        draft.write_bytes(msgspec.json.encode(_Kept(_now(), control)))
        draft.replace(file)


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keep other processes of the run off the file, unless nothing can be written at all."""
    with ExitStack() as opened:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            lock = opened.enter_context(file.with_suffix(".lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
