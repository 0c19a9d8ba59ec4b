"""The process that writes the reports: the only one, or xdist's controller."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_reseval.plugin import options
from pytest_reseval.plugin.run import run_of
from pytest_reseval.plugin.tally import Tally

if TYPE_CHECKING:
    from pytest_reseval.gates import Judgement
    from pytest_reseval.outcomes import Outcome
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
        self._on_file: Counter[Outcome] | None = None
        self._unfiled: list[str] = []
        self._gates: list[Judgement] = []
        config.pluginmanager.register(self, "reseval-controller")
        if config.pluginmanager.hasplugin("xdist"):
            from pytest_reseval.plugin.xdist import Distribution

            config.pluginmanager.register(
                Distribution(self._run, self.tally, self._collected), "reseval-xdist"
            )

    def check(self) -> None:
        """Raise pytest.UsageError for an option that cannot be meant."""
        if self._config.pluginmanager.hasplugin("xdist"):
            from pytest_reseval.plugin.xdist import refuse_unsound

            refuse_unsound(self._config)
        self._run.settings  # noqa: B018
        self._run.agent  # noqa: B018
        self._run.resumed  # noqa: B018

    def begin(self) -> None:
        """Choose the engine, clear away what dead runs left, and start the manifest."""
        from pytest_reseval.admission import LedgerError

        self._refuse_another_test()
        with _records_written():
            self._run.directory.ensure_room()
            if self._run.resumed is not None:
                self._on_file = Counter(record.outcome for record in self._run.directory.read())
                self._run.directory.set_obituaries_aside()
        self._run.sweep()
        self._config.hook.pytest_reseval_prepare(engine=self._run.engine, config=self._config)
        with _records_written():
            try:
                self._run.harness.ledger.entries()
            except LedgerError as error:
                raise pytest.UsageError(f"{error}; --reseval-ledger names another") from None
            self._begin_manifest()
        self._begin_progress()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Know what there is to run; an xdist controller learns it from a worker."""
        if session.items:
            self._collected([item.nodeid for item in session.items])

    def _collected(self, nodeids: Sequence[str]) -> None:
        """Note what is to be run, and in which order, before the first of it is."""
        if self.tally.selected:
            return
        self.tally.selected = tuple(nodeids)
        if self._manifest is not None:
            self._manifest = replace(self._manifest, order=self.tally.trials)
            with _records_written():
                self._write_manifest(self._manifest)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count every report."""
        self.tally.add(report)

    def header(self) -> list[str]:
        """The run's terms, before anything runs; nothing where no engine was chosen."""
        if self._manifest is None:
            return []
        from pytest_reseval.reports.header import header

        return header(self._manifest, self._on_file)

    def end(self, session: pytest.Session) -> None:
        """Fix the exit status and finish the manifest."""
        if self._progress is not None:
            self._progress.stop()
        if self.tally.verdicts or self._manifest is not None:
            self._file_the_rest()
        self._gates = self._judge_gates()
        session.exitstatus = self.tally.exit_status(
            session.exitstatus, bool(self._unfiled), self._gates
        )

    def _judge_gates(self) -> list[Judgement]:
        """Every gate that was set, if there was anything to hold it against."""
        if self._manifest is None or not (
            self.tally.verdicts or self.tally.without_verdict or self.tally.not_run
        ):
            return []
        settings = self._run.settings
        score, infra = settings.fail_under, settings.max_infra_rate
        if score is None and infra is None:
            return []
        from pytest_reseval.gates import judge

        return judge(self.records(), self.tally.not_run, score, infra)

    def _file_the_rest(self) -> None:
        """Put on file what is missing there: a worker's disk may have been full, and no longer be.

        What cannot be is told in the summary and on standard error, which nothing captures by now.
        """
        directory = self._run.directory
        missing = self.records()
        try:
            missing = directory.missing(missing)
            while missing:
                directory.append(missing[0])
                del missing[0]
        except OSError as error:
            self._unfiled += [f"{record.trial}: {error}" for record in missing]
        try:
            self._end_manifest()
        except OSError as error:
            self._unfiled.append(f"{directory.manifest}, as it is at the end: {error}")
        for line in self._unfiled:
            print(f"reseval: not on file: {line}", file=sys.__stderr__)

    def _end_manifest(self) -> None:
        from pytest_reseval.plugin import manifest

        if self._manifest is None:
            self._begin_manifest()
        assert self._manifest is not None
        self._manifest = replace(
            self._manifest,
            ended=manifest.now(),
            not_run=self.tally.not_run,
            order=self.tally.trials,
            tasks={
                record.task: record.task_digest for record in self.records() if record.task_digest
            },
        )
        self._write_manifest(self._manifest)

    def enrich_junit(self) -> None:
        """Add what pytest's JUnit file does not know, once it is written."""
        path = self._config.getoption("xmlpath", None)
        if path and self.tally.verdicts and Path(path).is_file():
            from pytest_reseval.reports.junit import enrich

            prefix = self._config.getoption("junitprefix", None)
            manifest = self._manifest and self._continued(self._manifest)
            enrich(Path(path), self.tally.verdicts, manifest, prefix)

    def summarize(self, reporter: pytest.TerminalReporter) -> None:
        """Write the three-way summary."""
        if not self.tally.verdicts:
            self._summarize_nothing(reporter)
            return
        from pytest_reseval.reports.terminal import summary

        reporter.write_sep("=", "resources and outcomes")
        for line in summary(
            self.records(),
            self._manifest,
            self.tally.not_run,
            self.tally.without_verdict,
            len(self.tally.selected),
            self._shown(self._run.directory.trials),
            reporter._tw.fullwidth,
            recalled=self.tally.recalled,
            unfiled=self._unfiled,
            gates=self._gates,
        ):
            reporter.write_line(line.text, **dict.fromkeys(line.markup, True))

    def _summarize_nothing(self, reporter: pytest.TerminalReporter) -> None:
        """Say why there is no verdict, where trials were selected."""
        skipped, not_run = self.tally.without_verdict, self.tally.not_run
        reasons = []
        if skipped:
            reasons.append(f"no trial was run: {skipped} skipped or not loaded; -rs tells why")
        if not_run and self.tally.trials:
            reasons.append(f"not run: {not_run} of {len(self.tally.selected)}")
        if reasons:
            reporter.write_sep("=", "resources and outcomes")
        for reason in reasons:
            reporter.write_line(reason, yellow=True)
        for gate in self._gates:
            reporter.write_line(gate.text, red=True)

    def records(self) -> list[TrialRecord]:
        """Every verdict so far."""
        from pytest_reseval.records import TrialRecord

        return [TrialRecord.from_builtins(verdict) for verdict in self.tally.verdicts]

    def _begin_manifest(self) -> None:
        from pytest_reseval.plugin import manifest

        self._manifest = manifest.begin(self._run, manifest.workers_of(self._config))
        self._write_manifest(self._manifest)

    def _write_manifest(self, manifest: Manifest) -> None:
        self._run.directory.write_manifest(self._continued(manifest))

    def _continued(self, manifest: Manifest) -> Manifest:
        from pytest_reseval.resume import continued

        first = self._run.resumed
        return manifest if first is None else continued(first, manifest)

    def _refuse_another_test(self) -> None:
        """Raise pytest.UsageError when the run to go on with was another test than this one."""
        first = self._run.resumed
        if first is None:
            return
        now = {
            "the engine": (first.engine.name, self._run.engine.info.name),
            "the agent": (first.agent, self._run.agent.name),
            "the seed": (str(first.seed), str(self._run.identity().seed)),
            "pytest's rootdir, from which trials have their names,": (
                first.rootdir,
                str(self._config.rootpath),
            ),
        }
        found = options.differences(first.options, options.shown(self._config)) + [
            f"{what} was {before!r} and is now {after!r}"
            for what, (before, after) in now.items()
            if before != after
        ]
        if found:
            raise pytest.UsageError(
                f"--reseval-resume={self._run.settings.resume}: that run was another test: "
                f"{'; '.join(found)}. Give the same as then, or begin a run of its own without "
                "--reseval-resume"
            )

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
            lambda: f"{self.tally.done} of {len(self.tally.selected)} done",
        )

    def _shown(self, path: Path) -> Path:
        where = self._config.invocation_params.dir
        return path.relative_to(where) if path.is_relative_to(where) else path


@contextmanager
def _records_written() -> Iterator[None]:
    """Raise pytest.UsageError for records that cannot be written or read."""
    from pytest_reseval.records import UnreadableRecords

    try:
        yield
    except UnreadableRecords as error:
        raise pytest.UsageError(str(error)) from None
    except OSError as error:
        raise pytest.UsageError(
            f"records cannot be written: {error}; --reseval-results names another folder"
        ) from None
