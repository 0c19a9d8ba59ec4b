from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_reseval.admission import Budget, Ledger
from pytest_reseval.agents.base import AgentServiceError, Solved
from pytest_reseval.attempts import RetryPolicy, run_to_verdict
from pytest_reseval.cgroups.sampler import Sampler
from pytest_reseval.conditions import Conditions, Host
from pytest_reseval.engines.base import (
    EngineLost,
    ExecResult,
    ImageBuildError,
    ImagePullError,
    Sandbox,
    SandboxFileError,
    SandboxLost,
    StartError,
)
from pytest_reseval.harness import Harness
from pytest_reseval.outcomes import Cause, Outcome, PhaseFacts
from pytest_reseval.records import TrialRecord
from pytest_reseval.resources import GIB, MIB
from pytest_reseval.service import ServiceUse
from pytest_reseval.tasks.model import Healthcheck, VerifierEnvironment
from pytest_reseval.trial import Trial, run_task
from pytest_reseval.verification import REWARD_TEXT
from tests.unit.builders import (
    DONE,
    ENFORCED,
    ENVIRONMENT,
    RESOURCES,
    Acting,
    MemoryEngine,
    MemoryMeter,
    MemorySandbox,
    make_harness,
    make_plan,
    make_task,
)
from tests.waiting import until

TRIAL = "tasks/unpack/task.toml::run[2x-s0]"

Act = Callable[[Sandbox], ExecResult]


@dataclass
class World:
    """One trial's surroundings, in memory; only the ledger and the records are on disk."""

    folder: Path
    meter: MemoryMeter = field(default_factory=MemoryMeter)
    sandbox: MemorySandbox = field(init=False)
    engine: MemoryEngine = field(init=False)
    task: dict[str, Any] = field(default_factory=dict)
    harness: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sandbox = MemorySandbox(files={REWARD_TEXT: b"0"}, meter=self.meter)
        self.engine = MemoryEngine(self.sandbox)

    def shared(self, act: Act) -> Harness:
        return make_harness(self.folder, self.engine, Acting(act), **self.harness)

    def run(self, act: Act = lambda sandbox: DONE) -> TrialRecord:
        """Run the trial, and see that nothing of it is left but its record."""
        task = make_task(self.folder / "unpack", **self.task)
        shared = self.shared(act)
        record = run_to_verdict(make_plan(task), shared, TRIAL, RetryPolicy())
        assert shared.ledger.entries() == []
        started = len(self.engine.requests) if self.engine.start_error is None else 0
        assert self.sandbox.closed == started
        assert list(shared.directory.read()) == [record]
        assert shared.directory.obituary(TRIAL) is None
        return record


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def raises(error: BaseException) -> Act:
    def act(sandbox: Sandbox) -> ExecResult:
        raise error

    return act


def phase_of(record: TrialRecord, name: str) -> PhaseFacts:
    (phase,) = [phase for phase in record.evidence.phases if phase.name == name]
    return phase


def test_a_solved_task_passes_through_every_stage(world: World) -> None:
    world.sandbox.files[REWARD_TEXT] = b"1"
    world.task = {"environment": replace(ENVIRONMENT, healthcheck=Healthcheck("true"))}
    record = world.run()
    assert (record.outcome, record.cause) == (Outcome.PASSED, Cause.SOLVED)
    assert list(record.stages) == [
        "admit",
        "prepare",
        "start",
        "healthcheck",
        "agent",
        "verifier",
        "teardown",
    ]
    assert [phase.name for phase in record.evidence.phases] == ["agent", "verifier"]
    assert record.evidence.enforced == ENFORCED
    assert record.agent == "acting"


def test_the_sandbox_is_asked_for_by_name_and_told_whose_it_is(world: World) -> None:
    world.run()
    (request,) = world.engine.requests
    assert request.name == "unpack[2x-s0]"
    assert request.labels == {"run": "run", "trial": TRIAL}
    assert world.sandbox.brought == ["/", "/tests"], "the solution is the oracle's alone"


def test_loose_files_come_into_the_working_directory(world: World) -> None:
    world.task = {
        "environment": replace(ENVIRONMENT, loose_files=world.folder, workdir="/app/data")
    }
    world.run()
    assert world.sandbox.brought == ["/", "/app/data", "/tests"]


def test_loose_files_come_where_commands_run_when_no_directory_is_told(world: World) -> None:
    here = replace(DONE, stdout="/srv\n")
    world.sandbox.answer = lambda command: here if command == "pwd" else DONE
    world.task = {"environment": replace(ENVIRONMENT, loose_files=world.folder)}
    world.run()
    assert world.sandbox.brought == ["/", "/srv", "/tests"]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ImageBuildError("no"), Cause.IMAGE_BUILD),
        (ImagePullError("no"), Cause.IMAGE_PULL),
        (EngineLost("no"), Cause.ENGINE_LOST),
    ],
)
def test_a_failure_to_prepare_is_its_cause(world: World, error: Exception, cause: Cause) -> None:
    world.engine.prepare_error = error
    record = world.run()
    assert (record.outcome, record.cause) == (Outcome.INFRA_ERROR, cause)
    assert "start" not in record.stages


@pytest.mark.parametrize(
    ("error", "cause"), [(StartError("no"), Cause.START), (EngineLost("no"), Cause.ENGINE_LOST)]
)
def test_a_failure_to_start_is_its_cause(world: World, error: Exception, cause: Cause) -> None:
    world.engine.start_error = error
    record = world.run()
    assert record.cause is cause
    assert record.message == "no"
    assert record.evidence.enforced is None


def test_limits_that_are_not_enforced_stop_the_trial_before_the_agent(world: World) -> None:
    world.sandbox.enforced = replace(ENFORCED, memory_limit=None)
    record = world.run(raises(AssertionError("the agent was run")))
    assert record.cause is Cause.ENFORCEMENT_MISMATCH
    assert record.message.startswith("memory limit is none, asked for was 256 MiB")
    assert record.evidence.phases == ()


def test_a_guarantee_beyond_the_budget_is_unmet(world: World) -> None:
    world.harness = {"ledger": Ledger(world.folder / "ledger", Budget(64 * MIB, 4.0))}
    record = world.run()
    assert record.cause is Cause.GUARANTEE_UNMET
    assert world.engine.requests == []


def test_a_sandbox_that_never_gets_healthy_is_its_cause(world: World) -> None:
    world.task = {"environment": replace(ENVIRONMENT, healthcheck=Healthcheck("no", retries=1))}
    world.sandbox.answer = lambda command: replace(DONE, exit_code=int(command == "no"))
    record = world.run()
    assert record.cause is Cause.HEALTHCHECK
    assert record.evidence.phases == ()


def test_an_agent_whose_service_fails_is_an_infra_error(world: World) -> None:
    record = world.run(raises(AgentServiceError("429 Too Many Requests")))
    assert (record.cause, record.message) == (Cause.AGENT_SERVICE, "429 Too Many Requests")


@pytest.mark.parametrize("error", [SandboxLost("gone"), EngineLost("silent")])
def test_what_is_lost_in_the_agents_phase_ends_the_trial(world: World, error: Exception) -> None:
    record = world.run(raises(error))
    assert record.outcome is Outcome.INFRA_ERROR
    assert record.message == str(error)
    assert [phase.name for phase in record.evidence.phases] == ["agent"]


def test_a_sandbox_that_ended_without_a_word_is_lost(world: World) -> None:
    def act(sandbox: Sandbox) -> ExecResult:
        world.sandbox.running = False
        return DONE

    record = world.run(act)
    assert record.cause is Cause.SANDBOX_LOST
    assert "agent phase" in record.message
    assert "verifier" not in record.stages


def test_a_sandbox_that_ends_under_the_verifier_is_lost(world: World) -> None:
    def answer(command: str) -> ExecResult:
        if command.endswith("/tests/test.sh"):
            raise SandboxLost("gone under the verifier")
        return DONE

    world.sandbox.answer = answer
    record = world.run()
    assert (record.cause, record.message) == (Cause.SANDBOX_LOST, "gone under the verifier")
    assert phase_of(record, "verifier").exit_code is None


def test_a_verifier_without_a_reward_says_why(world: World) -> None:
    world.sandbox.files[REWARD_TEXT] = b"\x1b[31mnan"
    record = world.run()
    assert record.cause is Cause.VERIFIER_INCOMPLETE
    assert record.evidence.reward_problem is not None
    assert record.message.isprintable()


def test_a_failure_to_tear_down_is_told_unless_the_task_was_solved(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close() -> None:
        world.sandbox.closed += 1
        raise EngineLost("no answer at the end")

    monkeypatch.setattr(world.sandbox, "close", close)
    record = world.run()
    assert (record.cause, record.message) == (Cause.ENGINE_LOST, "no answer at the end")
    assert record.evidence.reward == 0.0


def test_the_first_fault_is_the_one_that_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close() -> None:
        world.sandbox.closed += 1
        raise EngineLost("no answer at the end")

    monkeypatch.setattr(world.sandbox, "close", close)
    assert world.run(raises(SandboxLost("gone"))).message == "gone"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_whatever_the_agent_raises_the_sandbox_and_the_promise_are_given_back(
    world: World, error: BaseException
) -> None:
    shared = world.shared(raises(error))
    with pytest.raises(type(error)):
        run_to_verdict(make_plan(make_task(world.folder / "unpack")), shared, TRIAL, RetryPolicy())
    assert world.sandbox.closed == 1
    assert shared.ledger.entries() == []
    assert list(shared.directory.read()) == []


def test_an_agent_whose_own_code_fails_has_ended_with_an_error(world: World) -> None:
    record = world.run(raises(ValueError("a bug")))
    assert (record.outcome, record.cause) == (Outcome.FAILED, Cause.AGENT_ERROR)
    assert "ValueError: a bug" in phase_of(record, "agent").output_tail
    assert record.evidence.reward == 0.0, "the verifier has the last word all the same"


@pytest.mark.parametrize("key", ["agent_user", "verifier_user"])
def test_a_user_whom_the_sandbox_does_not_have_is_nobodys_failure(world: World, key: str) -> None:
    world.task = {key: "nobody-here"}
    world.sandbox.answer = lambda command: replace(DONE, exit_code=126, stderr="no such user")
    record = world.run(raises(AssertionError("the agent was run")))
    assert (record.outcome, record.cause) == (Outcome.INFRA_ERROR, Cause.START)
    assert f"{key.replace('_', '.')} = 'nobody-here'" in record.message


def test_a_file_that_cannot_be_written_costs_no_verdict(world: World) -> None:
    shared = world.shared(lambda sandbox: DONE)
    shared.directory.path.mkdir()
    (shared.directory.path / "trials").write_text("in the way of folders")
    record = run_to_verdict(
        make_plan(make_task(world.folder / "unpack")), shared, TRIAL, RetryPolicy()
    )
    assert set(record.unwritten) == {"agent.log", "verifier.log", "series.csv"}
    assert list(shared.directory.read()) == [record]
    assert world.sandbox.closed == 1
    assert shared.ledger.entries() == []


def test_closing_twice_tears_down_once(world: World) -> None:
    shared = world.shared(lambda sandbox: DONE)
    trial = Trial(make_plan(make_task(world.folder / "unpack")), shared, TRIAL)
    trial.start()
    trial.close()
    trial.close()
    assert world.sandbox.closed == 1


def test_while_it_runs_a_trial_is_in_the_ledger_and_announced(world: World) -> None:
    seen = []

    def act(sandbox: Sandbox) -> ExecResult:
        seen.extend(shared.ledger.entries())
        obituary = shared.directory.obituary(TRIAL)
        assert obituary is not None
        assert (obituary.trial, obituary.cause) == (TRIAL, Cause.WORKER_CRASH)
        return DONE

    shared = world.shared(act)
    run_to_verdict(make_plan(make_task(world.folder / "unpack")), shared, TRIAL, RetryPolicy())
    (entry,) = seen
    assert (entry.claim.label, entry.phase) == ("unpack[2x-s0]", "agent")
    assert entry.claim.memory == 128 * MIB


def test_waiting_for_admission_counts_against_no_timeout(world: World) -> None:
    record = world.run()
    assert record.waited <= record.stages["admit"] <= record.seconds


def test_timeouts_are_scaled_for_agent_and_verifier(world: World) -> None:
    seen = []

    class Timed(Acting):
        def solve(
            self, task: Any, sandbox: Sandbox, timeout: float | None, seed: int
        ) -> ExecResult:
            seen.append(timeout)
            return DONE

    shared = make_harness(world.folder, world.engine, Timed())
    plan = make_plan(make_task(world.folder / "unpack"))
    hasty = replace(plan, configuration=replace(plan.configuration, timeout_scale=0.5))
    run_to_verdict(hasty, shared, TRIAL, RetryPolicy())
    assert seen == [30.0]
    assert world.sandbox.timeouts == [15.0, 15.0]


def using(meter: MemoryMeter, **figures: Any) -> Act:
    def act(sandbox: Sandbox) -> ExecResult:
        meter.use(**figures)
        return DONE

    return act


def test_counters_are_differences_over_the_phase(world: World) -> None:
    world.meter.use(oom_kill=5, cpu_seconds=10.0, pids_max_events=2)
    record = world.run(using(world.meter, oom_kill=6, cpu_seconds=12.5))
    agent, verifier = phase_of(record, "agent"), phase_of(record, "verifier")
    assert (agent.oom_kill, agent.cpu_seconds, agent.pids_max_events) == (1, 2.5, 0)
    assert (verifier.oom_kill, verifier.cpu_seconds) == (0, 0.0)
    assert agent.memory_pressure_seconds is None


def test_where_the_mark_can_be_reset_each_phase_has_its_own_peak(world: World) -> None:
    record = world.run(using(world.meter, peak=200 * MIB, current=30 * MIB))
    assert phase_of(record, "agent").peak == 200 * MIB
    assert phase_of(record, "verifier").peak == 30 * MIB
    assert {phase.peak_source for phase in record.evidence.phases} == {"kernel"}


def sampled(meter: MemoryMeter) -> None:
    """Wait until the series has what the meter shows now: the third look began after the second."""
    before = meter.samples
    until(lambda: meter.samples >= before + 3)


def test_where_it_cannot_a_mark_that_did_not_move_is_replaced_by_the_samples(world: World) -> None:
    world.meter.resettable = False
    world.harness = {"sampler": Sampler(0.001)}

    def answer(command: str) -> ExecResult:
        if command.endswith("/tests/test.sh"):
            world.meter.use(current=60 * MIB, nonreclaimable=25 * MIB)
            sampled(world.meter)
        return DONE

    world.sandbox.answer = answer
    record = world.run(using(world.meter, peak=200 * MIB, current=30 * MIB))
    agent, verifier = phase_of(record, "agent"), phase_of(record, "verifier")
    assert (agent.peak, agent.peak_source) == (200 * MIB, "kernel")
    assert (verifier.peak, verifier.peak_source) == (60 * MIB, "sampled")
    assert verifier.nonreclaimable_peak == 25 * MIB


def test_where_it_cannot_a_mark_that_rose_is_the_phases_own(world: World) -> None:
    world.meter.resettable = False

    def answer(command: str) -> ExecResult:
        if command.endswith("/tests/test.sh"):
            world.meter.use(peak=220 * MIB)
        return DONE

    world.sandbox.answer = answer
    record = world.run(using(world.meter, peak=200 * MIB))
    assert phase_of(record, "verifier").peak == 220 * MIB
    assert phase_of(record, "verifier").peak_source == "kernel"


def test_a_peak_at_the_limit_without_need_is_page_cache(world: World) -> None:
    record = world.run(using(world.meter, peak=256 * MIB, nonreclaimable=20 * MIB))
    assert phase_of(record, "agent").cache_saturated
    assert not phase_of(record, "verifier").cache_saturated


def test_a_kill_is_never_called_page_cache(world: World) -> None:
    record = world.run(using(world.meter, peak=256 * MIB, oom=1, oom_kill=1))
    assert not phase_of(record, "agent").cache_saturated
    assert record.cause is Cause.OOM_LIMIT


def test_a_kill_in_the_agents_phase_does_not_hide_page_cache_in_the_verifiers(
    world: World,
) -> None:
    def answer(command: str) -> ExecResult:
        if command.endswith("/tests/test.sh"):
            world.meter.use(peak=256 * MIB)
        return DONE

    world.sandbox.answer = answer
    record = world.run(using(world.meter, peak=256 * MIB, oom=1, oom_kill=1))
    assert phase_of(record, "verifier").cache_saturated


def test_residue_is_what_the_agent_left_beyond_the_idle_sandbox(world: World) -> None:
    world.meter.use(nonreclaimable=8 * MIB)
    record = world.run(using(world.meter, nonreclaimable=100 * MIB))
    assert phase_of(record, "agent").residue == 0
    assert phase_of(record, "verifier").residue == 92 * MIB


def test_residue_is_never_negative_and_unknown_where_there_is_no_figure(world: World) -> None:
    assert phase_of(world.run(using(world.meter, nonreclaimable=MIB)), "verifier").residue == 0
    other = World(world.folder / "other")
    other.meter.use(nonreclaimable=None)
    assert phase_of(other.run(), "verifier").residue is None


def test_a_record_keeps_the_end_of_the_output_and_the_log_all_of_it(world: World) -> None:
    said = replace(DONE, stdout="x" * 10_000, stderr="the end")
    record = world.run(lambda sandbox: said)
    tail = phase_of(record, "agent").output_tail
    assert len(tail) == 4000
    assert tail.endswith("xthe end")
    (log,) = world.folder.rglob("agent.log")
    assert log.read_text() == said.stdout + said.stderr


def test_what_an_agent_prints_cannot_reach_a_terminal_as_commands(world: World) -> None:
    said = replace(DONE, stdout="\x1b[2J\x1b]0;owned\x07 \x9b31m \u202e \x00 \ud800\nnext")
    tail = phase_of(world.run(lambda sandbox: said), "agent").output_tail
    assert tail == r"\x1b[2J\x1b]0;owned\x07 \x9b31m \u202e \x00 \ud800" + "\nnext"


def test_a_message_from_an_engine_cannot_either(world: World) -> None:
    world.engine.prepare_error = ImageBuildError("\x1b[31mstep 3\nfailed")
    assert world.run().message == "\\x1b[31mstep 3\nfailed"


def test_the_series_of_a_trial_is_on_file(world: World) -> None:
    world.run()
    (series,) = world.folder.rglob("series.csv")
    assert len(series.read_text().splitlines()) >= 3


def test_neighbours_are_counted_at_start_and_end(world: World) -> None:
    shared = world.shared(lambda sandbox: DONE)
    neighbour = shared.admit(make_plan(make_task(world.folder / "other")))

    def act(sandbox: Sandbox) -> ExecResult:
        neighbour.release()
        return DONE

    shared = replace(shared, agent=Acting(act))
    record = run_to_verdict(
        make_plan(make_task(world.folder / "unpack")), shared, TRIAL, RetryPolicy()
    )
    assert (record.neighbours_at_start, record.neighbours_at_end) == (1, 0)


def test_the_load_of_the_host_is_on_record_where_the_sandboxes_are_on_it(world: World) -> None:
    world.harness = {"host": Host()}
    record = world.run()
    assert record.conditions is not None
    load = record.conditions.host
    assert load is not None
    assert 0 < load.seconds <= record.seconds


def test_where_they_are_elsewhere_nothing_of_this_host_is(world: World) -> None:
    assert world.run().conditions == Conditions()


def test_a_trial_that_failed_to_start_has_met_its_host_too(world: World) -> None:
    world.harness = {"host": Host()}
    world.engine.start_error = StartError("no")
    conditions = world.run().conditions
    assert conditions is not None
    assert conditions.host is not None


def test_a_trial_that_was_never_admitted_has_met_nothing(world: World) -> None:
    budget = Ledger(world.folder / "ledger", Budget(64 * MIB, 4.0))
    world.harness = {"ledger": budget, "host": Host()}
    assert world.run().conditions == Conditions()


def test_what_an_agent_tells_of_its_service_is_on_record(world: World) -> None:
    use = ServiceUse(requests=3, seconds=7.5, errors=1)
    record = world.run(lambda sandbox: Solved.after(DONE, use))
    assert record.conditions == Conditions(service=use)
    assert record.cause is Cause.WRONG


def test_an_agent_whose_service_failed_may_tell_what_it_cost_until_then(world: World) -> None:
    use = ServiceUse(requests=3, errors=3)
    record = world.run(raises(AgentServiceError("429", service=use)))
    assert (record.cause, record.message) == (Cause.AGENT_SERVICE, "429")
    assert record.conditions == Conditions(service=use)


def test_an_error_of_an_older_agent_tells_nothing_and_is_the_same_infra_error(
    world: World,
) -> None:
    class Throttled(AgentServiceError):
        def __init__(self) -> None:
            """Without a word to the class above, as agents do."""

    record = world.run(raises(Throttled()))
    assert record.cause is Cause.AGENT_SERVICE
    assert record.conditions == Conditions()


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
@pytest.mark.parametrize("reward", [b"0", b"1"])
def test_nonsense_about_the_service_is_ignored_with_a_note(
    world: World, seconds: float, reward: bytes
) -> None:
    world.sandbox.files[REWARD_TEXT] = reward
    record = world.run(lambda sandbox: Solved.after(DONE, ServiceUse(seconds=seconds)))
    assert record.cause is (Cause.SOLVED if reward == b"1" else Cause.WRONG)
    assert record.conditions is not None
    assert record.conditions.service is None
    assert record.conditions.service_problem == "seconds is not from 0 to 1000000000"


def test_a_note_about_the_service_is_short_and_printable(world: World) -> None:
    hostile = "\x1b[2J\n" * 1000
    record = world.run(lambda sandbox: Solved.after(DONE, None, hostile))
    assert record.conditions is not None
    assert record.conditions.service_problem is not None
    assert record.conditions.service_problem.isprintable()
    assert len(record.conditions.service_problem) == 200


def test_each_attempt_keeps_the_conditions_that_it_met(world: World) -> None:
    attempts = iter([3, 5])

    def act(sandbox: Sandbox) -> ExecResult:
        requests = next(attempts)
        if requests == 3:
            raise AgentServiceError("503", service=ServiceUse(requests))
        return Solved.after(DONE, ServiceUse(requests))

    record = run_to_verdict(
        make_plan(make_task(world.folder / "unpack")),
        world.shared(act),
        TRIAL,
        RetryPolicy(times=1),
        pause=lambda seconds: None,
    )
    assert [earlier.conditions for earlier in record.earlier] == [Conditions(service=ServiceUse(3))]
    assert record.conditions == Conditions(service=ServiceUse(5))


def test_the_promise_is_kept_until_the_sandbox_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    promised = []
    shared = world.shared(lambda sandbox: DONE)
    monkeypatch.setattr(world.sandbox, "close", lambda: promised.extend(shared.ledger.entries()))
    run_to_verdict(make_plan(make_task(world.folder / "unpack")), shared, TRIAL, RetryPolicy())
    assert [entry.phase for entry in promised] == ["teardown"]
    assert shared.ledger.entries() == []


def holding(sandbox: MemorySandbox, size: int) -> Act:
    def act(_: Sandbox) -> ExecResult:
        sandbox.disk = size
        return DONE

    return act


def test_what_is_held_on_disk_is_looked_at_when_a_phase_ends(world: World) -> None:
    record = world.run(holding(world.sandbox, 300 * MIB))
    assert phase_of(record, "agent").disk_peak == 300 * MIB
    assert phase_of(record, "verifier").disk_peak == 300 * MIB
    assert record.cause is Cause.WRONG


def test_more_on_disk_than_the_bound_stops_the_trial_before_the_verifier(world: World) -> None:
    record = world.run(holding(world.sandbox, 1229 * MIB))
    assert (record.outcome, record.cause) == (Outcome.INFRA_ERROR, Cause.DISK_LIMIT)
    assert record.message == (
        "the sandbox held 1.2 GiB on disk, more than its bound of 1 GiB (polled)"
    )
    assert not world.sandbox.running
    assert [phase.name for phase in record.evidence.phases] == ["agent"]


def test_a_sandbox_that_was_ended_for_its_disk_use_is_not_called_lost(world: World) -> None:
    def act(sandbox: Sandbox) -> ExecResult:
        world.sandbox.disk = 2 * GIB
        until(lambda: not world.sandbox.running)
        raise SandboxLost("the sandbox ended while a command ran in it")

    record = world.run(act)
    assert record.cause is Cause.DISK_LIMIT
    assert phase_of(record, "agent").disk_peak == 2 * GIB


def test_too_much_disk_before_the_agent_is_told_too(world: World) -> None:
    def answer(command: str) -> ExecResult:
        world.sandbox.disk = 2 * GIB
        until(lambda: not world.sandbox.running)
        raise SandboxLost("gone")

    world.sandbox.answer = answer
    world.task = {"environment": replace(ENVIRONMENT, healthcheck=Healthcheck("true"))}
    record = world.run()
    assert record.cause is Cause.DISK_LIMIT
    assert record.evidence.phases == ()


def test_a_task_that_was_solved_stays_solved_whatever_it_holds_at_its_end(world: World) -> None:
    world.sandbox.files[REWARD_TEXT] = b"1"

    def answer(command: str) -> ExecResult:
        if command.endswith("/tests/test.sh"):
            world.sandbox.disk = 2 * GIB
        return DONE

    world.sandbox.answer = answer
    record = world.run()
    assert record.outcome is Outcome.PASSED
    assert phase_of(record, "verifier").disk_peak == 2 * GIB


def test_an_artifact_that_finds_no_place_at_the_verifier_is_missing_and_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent left a directory where the verifier's image has a file, or the reverse."""
    world.sandbox.files["/app/answer"] = b"42"

    def put(source: Path, target: str) -> None:
        if target == "/app/answer":
            raise SandboxFileError("/app/answer\x1b: a directory is in the way")

    monkeypatch.setattr(world.sandbox, "put", put)
    own = VerifierEnvironment(ENVIRONMENT, None, None, None)
    task = make_task(world.folder / "unpack", verifier_environment=own, artifacts=("/app/answer",))
    roomy = replace(RESOURCES, storage_limit=2 * RESOURCES.storage_limit)
    shared = world.shared(lambda sandbox: DONE)
    record = run_task(replace(make_plan(task), verifier=roomy), shared, TRIAL)
    assert record.cause is Cause.WRONG
    assert record.evidence.artifacts_missing == ("/app/answer\\x1b: a directory is in the way",)
    assert record.evidence.verifier_resources == roomy
