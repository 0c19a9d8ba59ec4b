"""Going on with an earlier run: what stands is told again instead of being run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_reseval.outcomes import Outcome
from pytest_reseval.plugin.collection import PLAN
from pytest_reseval.plugin.fixtures import RECORD
from pytest_reseval.plugin.run import Run, run_of
from pytest_reseval.plugin.verdicts import RECALLED, failure_text
from pytest_reseval.records import TrialRecord, UnreadableRecords
from pytest_reseval.resume import is_final


class RecalledTrial(pytest.Item):
    """Stands in the place, and under the node id, of an item whose verdict is on file."""

    def __init__(self, *, stands_for: pytest.Item, record: TrialRecord, **given: Any) -> None:
        super().__init__(**given)
        self.own_markers = list(stands_for.own_markers)
        self.keywords.update(stands_for.keywords)
        self._place = stands_for.reportinfo()
        self.stash[RECORD] = record
        self.stash[RECALLED] = True

    def runtest(self) -> None:
        """Tell the verdict."""
        record = self.stash[RECORD]
        if record.outcome is not Outcome.PASSED:
            pytest.fail(failure_text(record), pytrace=False)

    def reportinfo(self) -> tuple[Path | str, int | None, str]:
        """Where the item that it stands for is."""
        path, line, name = self._place
        return Path(path), line, name


def recall(session: pytest.Session) -> None:
    """Replace every item whose verdict stands, and make way on file for those that are run again.

    For the moment at which it is known what is selected: ``--lf`` deselects last of all. Under
    xdist every worker comes here before any trial begins, but for those that replace a dead worker.
    """
    run = run_of(session.config)
    try:
        again = _replace_items(session, run)
        if not run.is_under_way:
            run.directory.supersede(again)
    except (OSError, UnreadableRecords) as error:
        raise pytest.UsageError(f"--reseval-resume={run.directory.path}: {error}") from None


def _replace_items(session: pytest.Session, run: Run) -> set[str]:
    """Put what is on file in place of its items; answer those that are on file and do not stand."""
    on_file = {record.trial: record for record in run.directory.read()}
    again = set()
    for index, item in enumerate(session.items):
        record, plan = on_file.get(item.nodeid), item.stash.get(PLAN, None)
        if record is None or plan is None or item.parent is None:
            continue
        if is_final(record, plan):
            session.items[index] = RecalledTrial.from_parent(
                item.parent, name=item.name, nodeid=item.nodeid, stands_for=item, record=record
            )
        else:
            again.add(record.trial)
    return again
