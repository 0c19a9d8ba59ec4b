"""The fixtures ``task``, ``sandbox`` and, behind a task's own items, its finished trial."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_reseval.engines.base import Sandbox
    from pytest_reseval.plans import TrialPlan
    from pytest_reseval.records import TrialRecord
    from pytest_reseval.tasks.model import Task, TaskError
    from pytest_reseval.trial import Trial


class OpenTrial:
    """A trial whose test is still running; judged by how the test ends."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self._phase = ExitStack()

    def begin(self) -> None:
        """Begin to measure the test."""
        self._phase.enter_context(self.trial.phase("test"))

    def judge(self, passed: bool, error: BaseException | None) -> TrialRecord:
        """End the measurement and answer the verdict; ``error`` is what the test raised."""
        from pytest_reseval.engines.base import EngineError
        from pytest_reseval.trial import judge_test

        try:
            self._phase.close()
        except EngineError as lost:
            error = lost
        if isinstance(error, EngineError):
            self.trial.fault(error)
            passed = False
        return judge_test(self.trial, passed)


OPEN_TRIAL = pytest.StashKey[OpenTrial]()
"""On the item of a test that uses ``sandbox``, from its start until its verdict."""

RECORD = pytest.StashKey["TrialRecord"]()
"""On every item whose trial has a verdict."""


@pytest.fixture
def reseval_plan(request: pytest.FixtureRequest) -> TrialPlan:
    """What the item will run; tests written in Python get it by parametrization instead."""
    from pytest_reseval.plugin.collection import PLAN

    plan: TrialPlan = request.node.stash[PLAN]
    return plan


@pytest.fixture
def task(reseval_plan: TrialPlan | TaskError) -> Task | None:
    """The benchmark task of this item."""
    return _valid(reseval_plan).task


@pytest.fixture
def sandbox(
    request: pytest.FixtureRequest, reseval_plan: TrialPlan | TaskError
) -> Iterator[Sandbox]:
    """A limited, measured sandbox; with ``task``, the task's own environment."""
    from pytest_reseval.admission import ClaimTooLarge
    from pytest_reseval.engines.base import EngineError
    from pytest_reseval.plugin.run import run_of
    from pytest_reseval.plugin.verdicts import failure_text
    from pytest_reseval.trial import Trial, judge_test

    plan = _valid(reseval_plan)
    _skip_what_cannot_run(request, plan, needs_agent=False)
    with _mistakes_told():
        run, trial_id = run_of(request.config), request.node.nodeid
        trial = Trial(plan, run.harness, trial_id, run.attempts_before(plan, trial_id))
    try:
        started = None
        try:
            with _mistakes_told():
                started = trial.start()
        except (EngineError, ClaimTooLarge) as error:
            trial.fault(error)
        if started is None:
            trial.close()
            record = request.node.stash[RECORD] = judge_test(trial, passed=False)
            pytest.fail(failure_text(record), pytrace=False)
        opened = OpenTrial(trial)
        opened.begin()
        request.node.stash[OPEN_TRIAL] = opened
        yield started
    finally:
        trial.close()


@pytest.fixture
def reseval_record(
    request: pytest.FixtureRequest, reseval_plan: TrialPlan | TaskError
) -> TrialRecord:
    """The finished trial of a task's own item; an infra-error ends the item here, as an error."""
    from pytest_reseval.attempts import run_to_verdict
    from pytest_reseval.plugin.run import run_of
    from pytest_reseval.plugin.verdicts import failure_text

    plan = _valid(reseval_plan)
    _skip_what_cannot_run(request, plan, needs_agent=True)
    with _mistakes_told():
        run, trial_id = run_of(request.config), request.node.nodeid
        earlier = run.attempts_before(plan, trial_id)
        record = request.node.stash[RECORD] = run_to_verdict(
            plan, run.harness, trial_id, run.settings.infra_retries, earlier
        )
    if record.outcome == "infra-error":
        pytest.fail(failure_text(record), pytrace=False)
    return record


@contextmanager
def _mistakes_told() -> Iterator[None]:
    """Turn a setting that cannot be used, or a file that cannot be written, into one message."""
    try:
        yield
    except (pytest.UsageError, OSError) as error:
        message = str(error)
    else:
        return
    pytest.fail(message, pytrace=False)


def _valid(plan: TrialPlan | TaskError) -> TrialPlan:
    if isinstance(plan, Exception):
        pytest.fail(str(plan), pytrace=False)
    return plan


def _skip_what_cannot_run(
    request: pytest.FixtureRequest, plan: TrialPlan, needs_agent: bool
) -> None:
    from pytest_reseval.plugin.run import run_of

    run = run_of(request.config)
    with _mistakes_told():
        run.engine  # noqa: B018
        run.agent  # noqa: B018
    if plan.task is None:
        if run.engine.info.needs_image and plan.environment.image is None:
            pytest.fail(
                f"a sandbox of the {run.engine.info.name} engine needs an image: name one that it "
                "holds in the ini option reseval_image",
                pytrace=False,
            )
        return
    reason = run.engine.unsupported(plan.task)
    if reason is None and needs_agent:
        reason = run.agent.unsupported(plan.task)
    if reason is not None:
        pytest.skip(reason)
