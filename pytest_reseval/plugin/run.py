"""One test run as one process sees it: its settings, its identity and, once needed, its harness."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_reseval.plugin import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_reseval.admission import Budget
    from pytest_reseval.agents.base import Agent
    from pytest_reseval.engines.base import Engine, EngineInfo
    from pytest_reseval.harness import Harness
    from pytest_reseval.occupancy import Occupancy
    from pytest_reseval.plans import TrialPlan
    from pytest_reseval.records import Attempt, Manifest, RunDirectory, TrialRecord


@dataclass(frozen=True, slots=True)
class Identity:
    """What the controller decides for all its workers; plain builtins, so that it can travel."""

    run: str
    directory: str
    session: str
    """What tells this pytest run from others that wrote, or go on with, the same run."""
    seed: int
    """What the order of trials and the seeds of agents are drawn from."""
    under_way: bool = False
    """Whether trials may have ended by the time that the worker starts."""
    engine: EngineInfo | None = None
    """The engine that was chosen; None while nothing has needed one."""
    network: str | None = None
    """The network on which the engine keeps the run's sandboxes apart; None if it has none."""

    @classmethod
    def from_builtins(cls, plain: Mapping[str, Any]) -> Identity:
        """What ``asdict`` made, back again."""
        from pytest_reseval.engines.base import EngineInfo

        engine = plain["engine"]
        return cls(**{**plain, "engine": engine and EngineInfo(**engine)})


class Run:
    """Made once in every process; everything costly in it is made when first used."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        workerinput = getattr(config, "workerinput", None)
        self.worker: str = workerinput["workerid"] if workerinput else "main"
        self._given = Identity.from_builtins(workerinput["reseval"]) if workerinput else None
        self._network = self._given.network if self._given else None
        self._occupancy: Occupancy | None = None

    @property
    def is_controller(self) -> bool:
        """True in the process that writes the reports: the only one, or xdist's controller."""
        return self._given is None

    @cached_property
    def settings(self) -> options.Settings:
        """What the user chose. Raises pytest.UsageError for what cannot be meant."""
        return options.resolve(self.config)

    @cached_property
    def _fresh(self) -> Identity:
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        if self.settings.resume is not None and self.resumed is not None:
            kept = self.resumed.seed
            return Identity(
                self.resumed.run,
                str(self.settings.resume),
                session=name,
                seed=kept if self.settings.seed is None else self.settings.seed,
            )
        directory = self.settings.results or self.config.rootpath / "reseval-runs" / name
        seed = self.settings.seed
        return Identity(
            run=name,
            directory=str(directory),
            session=name,
            seed=secrets.randbelow(2**32) if seed is None else seed,
        )

    def identity(self) -> Identity:
        """The run's name and folder, and the engine if one was chosen by now."""
        if self._given is not None:
            return self._given
        if not self.has_engine:
            return self._fresh
        return replace(
            self._fresh,
            engine=self.engine.info,
            network=self._network,
        )

    def to_worker(self, under_way: bool) -> dict[str, object]:
        """The identity as xdist sends it to a worker."""
        return asdict(replace(self.identity(), under_way=under_way))

    @property
    def is_under_way(self) -> bool:
        """Whether trials may have ended before this process began: it replaces a dead worker."""
        return self._given is not None and self._given.under_way

    @cached_property
    def resumed(self) -> Manifest | None:
        """What is on file of the run that this one goes on with; None for a run of its own.

        Raises pytest.UsageError when there is none in the folder.
        """
        from pytest_reseval.records import SCHEMA, RunDirectory, UnreadableRecords

        folder = self.settings.resume
        if folder is None:
            return None
        try:
            manifest = RunDirectory(folder).read_manifest()
        except FileNotFoundError:
            raise pytest.UsageError(
                f"--reseval-resume={folder}: there is no manifest.json, so no run to go on with; "
                "name the folder of a run, or leave the option out to begin one"
            ) from None
        except NotADirectoryError:
            raise pytest.UsageError(
                f"--reseval-resume={folder}: this is no folder; name the one with manifest.json"
            ) from None
        except (OSError, UnreadableRecords) as error:
            raise pytest.UsageError(f"--reseval-resume={folder}: {error}") from None
        if manifest.schema != SCHEMA:
            raise pytest.UsageError(
                f"--reseval-resume={folder}: its records have schema {manifest.schema}, and this "
                f"version writes {SCHEMA}; go on with the version that began it"
            )
        return manifest

    @cached_property
    def directory(self) -> RunDirectory:
        """Where records go, held by this session. Raises pytest.UsageError when others write it."""
        from pytest_reseval.occupancy import Occupancy, Occupied
        from pytest_reseval.records import RunDirectory

        identity = self.identity()
        directory = RunDirectory(Path(identity.directory))
        occupancy = Occupancy(directory.path, identity.session)
        try:
            if self.is_controller and self.resumed is not None:
                occupancy.take_over(self._tell)
                del self.resumed  # its last session may have ended while we waited
            else:
                occupancy.join(is_free=lambda: not directory.holds_a_run())
        except Occupied as error:
            occupancy.release()
            raise pytest.UsageError(
                f"{error}; --reseval-resume={directory.path} goes on with it once it has ended, "
                "and --reseval-results names another folder"
            ) from None
        self._occupancy = occupancy
        return directory

    def _tell(self, text: str) -> None:
        writer = self.config.get_terminal_writer()
        writer.line(f"reseval: {text}")
        writer.flush()

    @property
    def _decided(self) -> EngineInfo | None:
        """The engine that the controller chose for its workers, if it chose one."""
        return None if self._given is None else self._given.engine

    @cached_property
    def chosen(self) -> tuple[Engine, str]:
        """The engine, and why it is this one. Raises pytest.UsageError when it cannot be used."""
        from pytest_reseval.engines import choose
        from pytest_reseval.engines.awaited import AwaitedEngine
        from pytest_reseval.engines.base import EngineUnavailable

        info = self._decided
        if info is not None:
            return AwaitedEngine(info, lambda: choose(info.name)[0]), "the controller's choice"
        asked = self.settings.engine
        try:
            return choose(asked)
        except EngineUnavailable as error:
            raise pytest.UsageError(f"--reseval-engine={asked}: {error}") from None

    @property
    def has_engine(self) -> bool:
        """Whether anything has needed an engine yet."""
        return "chosen" in self.__dict__

    @property
    def engine(self) -> Engine:
        """Where this run's sandboxes are."""
        return self.chosen[0]

    @cached_property
    def budget(self) -> Budget:
        """What may be promised on the engine's host, in bytes and cores."""
        from pytest_reseval.harness import budget_of

        return budget_of(self.engine.info, self.settings.reserve_memory)

    @cached_property
    def agent(self) -> Agent:
        """Who solves the tasks. Raises pytest.UsageError for a name that nobody knows."""
        from pytest_reseval.agents import builtin_agent
        from pytest_reseval.agents.base import flaw_of

        name = self.settings.agent
        try:
            agent = builtin_agent(name) or self.config.hook.pytest_reseval_agent(
                name=name, config=self.config
            )
        except Exception as error:
            raise pytest.UsageError(
                f"--reseval-agent={name}: a pytest_reseval_agent hook fails: {error!r}"
            ) from error
        if agent is None:
            raise pytest.UsageError(
                f"--reseval-agent={name}: unknown agent; choose oracle, nop or cmd:COMMAND, or "
                "answer this name in a conftest's pytest_reseval_agent hook"
            )
        if flaw := flaw_of(agent):
            raise pytest.UsageError(
                f"--reseval-agent={name}: a pytest_reseval_agent hook answered {agent!r}, which "
                f"{flaw}; see Agent in pytest_reseval.agents.base"
            )
        return cast("Agent", agent)

    def _join_network(self) -> None:
        """Have the engine keep this run's sandboxes from each other, as far as it can.

        The network is the controller's, which outlives its workers; where the controller chose no
        engine every process has one of its own.
        """
        if self._decided is None or self._network is not None:
            self._network = self.engine.join_network(self.identity().run, self._network)

    @cached_property
    def harness(self) -> Harness:
        """What this process's trials share."""
        from pytest_reseval.admission import Ledger, default_directory
        from pytest_reseval.cgroups.sampler import Sampler
        from pytest_reseval.conditions import Host
        from pytest_reseval.disk.watcher import DiskWatcher
        from pytest_reseval.harness import Harness

        settings = self.settings
        harness = Harness(
            engine=self.engine,
            ledger=Ledger(settings.ledger or default_directory(), self.budget),
            agent=self.agent,
            sampler=Sampler(),
            disk_watcher=DiskWatcher(),
            directory=self.directory,
            run=self.identity().run,
            worker=self.worker,
            admission=settings.admission,
            oom_policy=settings.oom,
            host=Host(),
        )
        self._join_network()
        return harness

    def sweep(self) -> None:
        """Remove what dead processes left on the engine and in the ledger. Raises EngineError."""
        from pytest_reseval.admission import default_directory
        from pytest_reseval.admission.janitor import LedgerJanitor
        from pytest_reseval.janitor import CannotRemove, sweep

        self.engine.sweep()
        with suppress(CannotRemove):
            sweep(LedgerJanitor(self.settings.ledger or default_directory()))

    def attempts_before(self, plan: TrialPlan, trial: str) -> tuple[Attempt, ...]:
        """What was tried of a trial in the run that this one goes on with."""
        if self.settings.resume is None:
            return ()
        from pytest_reseval.resume import attempts_before

        return attempts_before(plan, self._superseded.get(trial), self.directory.broken_off(trial))

    @cached_property
    def _superseded(self) -> dict[str, TrialRecord]:
        """By trial, the last record that was moved away; complete once trials are run."""
        return {record.trial: record for record in self.directory.superseded()}

    def close(self) -> None:
        """Let go of engine and folder, if they were used, and remove what dead workers left."""
        if self.has_engine:
            from pytest_reseval.engines.base import EngineError

            if self.is_controller:
                with suppress(EngineError):
                    self.sweep()
            self.engine.close()
        if self._occupancy is not None:
            self._occupancy.release()


_RUN = pytest.StashKey[Run]()


def run_of(config: pytest.Config) -> Run:
    """The run that this configuration belongs to."""
    if _RUN not in config.stash:
        config.stash[_RUN] = Run(config)
    return config.stash[_RUN]


def close_run(config: pytest.Config) -> None:
    """Let go of what the run used, if it used anything."""
    if _RUN in config.stash:
        config.stash[_RUN].close()
