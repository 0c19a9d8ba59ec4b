"""The process that writes the reports: the only one, or xdist's controller."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_reseval.plugin.run import run_of
from pytest_reseval.plugin.tally import Tally

if TYPE_CHECKING:
    from pytest_reseval.records import Manifest, TrialRecord
    from pytest_reseval.reports.progress import Progress


class Controller:
    """What is done once a run: choose the engine, tell of progress, sum up, write the manifest."""

    def __init__(self, config: pytest.Config) -> None:
        self.tally = Tally()
        self._config = config
        self._run = run_of(config)
        self._manifest: Manifest | None = None
        self._progress: Progress | None = None
        config.pluginmanager.register(self, "reseval-controller")
        if config.pluginmanager.hasplugin("xdist"):
            from pytest_reseval.plugin.xdist import Distribution, spread_evenly

            spread_evenly(config)
            config.pluginmanager.register(Distribution(self._run, self.tally), "reseval-xdist")

    def check(self) -> None:
        """Raise pytest.UsageError for an option that cannot be meant."""
        self._run.settings  # noqa: B018
        self._run.agent  # noqa: B018

    def begin(self) -> None:
        """Choose the engine, clear away what dead runs left, and start the manifest."""
        from pytest_reseval.admission import LedgerError

        self._run.sweep()
        self._config.hook.pytest_reseval_prepare(engine=self._run.engine, config=self._config)
        try:
            self._run.harness.ledger.entries()
            self._begin_manifest()
        except LedgerError as error:
            raise pytest.UsageError(f"{error}; --reseval-ledger names another") from None
        except OSError as error:
            raise pytest.UsageError(
                f"records cannot be written: {error}; --reseval-results names another folder"
            ) from None
        self._begin_progress()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Know how many items there are to run; an xdist controller learns it from a worker."""
        if session.items:
            self.tally.selected = len(session.items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count every report."""
        self.tally.add(report)

    def header(self) -> list[str]:
        """The run's terms, before anything runs; nothing where no engine was chosen."""
        if self._manifest is None:
            return []
        from pytest_reseval.reports.header import header

        return header(self._manifest)

    def end(self, session: pytest.Session) -> None:
        """Fix the exit status and finish the manifest."""
        if self._progress is not None:
            self._progress.stop()
        session.exitstatus = self.tally.exit_status(session.exitstatus)
        if not self.tally.verdicts and self._manifest is None:
            return
        from pytest_reseval.plugin import manifest

        if self._manifest is None:
            self._begin_manifest()
        assert self._manifest is not None
        self._manifest = replace(
            self._manifest,
            ended=manifest.now(),
            not_run=self.tally.not_run,
            tasks={
                record.task: record.task_digest for record in self.records() if record.task_digest
            },
        )
        self._run.directory.write_manifest(self._manifest)

    def enrich_junit(self) -> None:
        """Add what pytest's JUnit file does not know, once it is written."""
        path = self._config.getoption("xmlpath", None)
        if path and self.tally.verdicts and Path(path).is_file():
            from pytest_reseval.reports.junit import enrich

            prefix = self._config.getoption("junitprefix", None)
            enrich(Path(path), self.tally.verdicts, self._manifest, prefix)

    def summarize(self, reporter: pytest.TerminalReporter) -> None:
        """Write the three-way summary."""
        if not self.tally.verdicts:
            return
        from pytest_reseval.reports.terminal import summary

        reporter.write_sep("=", "resources and outcomes")
        for line in summary(
            self.records(),
            self._manifest,
            self.tally.not_run,
            self.tally.without_verdict,
            self.tally.selected,
            self._shown(self._run.directory.trials),
            reporter._tw.fullwidth,
        ):
            reporter.write_line(line.text, **dict.fromkeys(line.markup, True))

    def records(self) -> list[TrialRecord]:
        """Every verdict so far."""
        from pytest_reseval.records import TrialRecord

        return [TrialRecord.from_builtins(verdict) for verdict in self.tally.verdicts]

    def _begin_manifest(self) -> None:
        from pytest_reseval.plugin import manifest

        self._manifest = manifest.begin(self._run, manifest.workers_of(self._config))
        self._run.directory.write_manifest(self._manifest)

    def _begin_progress(self) -> None:
        from pytest_reseval.admission import Ledger, default_directory
        from pytest_reseval.reports.progress import Progress

        interval = self._run.settings.progress
        if not interval:
            return
        try:
            descriptor = os.dup(sys.stdout.fileno())
        except (OSError, ValueError):
            return
        directory = self._run.settings.ledger or default_directory()
        self._progress = Progress(
            Ledger(directory, self._run.budget),
            self._run.identity().run,
            interval,
            descriptor,
            lambda: f"{self.tally.done} of {self.tally.selected} done",
        )

    def _shown(self, path: Path) -> Path:
        where = self._config.invocation_params.dir
        return path.relative_to(where) if path.is_relative_to(where) else path
