"""What the documentation lists in full is the same list as the code's."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from pytest_reseval.cgroups.meter import Sample
from pytest_reseval.conditions import Conditions, HostLoad, Stalls
from pytest_reseval.engines.base import Enforced, EngineInfo
from pytest_reseval.outcomes import Cause, Evidence, Fault, PhaseFacts
from pytest_reseval.plugin import options
from pytest_reseval.records import Manifest, TrialRecord
from pytest_reseval.resources import Resources
from pytest_reseval.service import ServiceUse
from pytest_reseval.study.confounders import CONDITIONS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def _code(document: Path) -> set[str]:
    """Every text in single backquotes; tables and prose, without blocks."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([^`]+)`", text))


@pytest.mark.parametrize(
    "written",
    [
        TrialRecord,
        Evidence,
        Fault,
        PhaseFacts,
        Resources,
        Enforced,
        Conditions,
        HostLoad,
        Stalls,
        ServiceUse,
        Manifest,
        EngineInfo,
        Sample,
    ],
    ids=lambda written: written.__name__,
)
def test_every_field_that_is_written_down_is_explained(written: type) -> None:
    assert {field.name for field in fields(written)} <= _code(DOCS / "records.md")


def test_every_condition_that_is_compared_has_a_row() -> None:
    assert {one.name for one in CONDITIONS} <= _code(DOCS / "confounders.md")


def test_every_cause_has_a_row() -> None:
    assert {str(cause) for cause in Cause} <= _code(DOCS / "outcomes.md")


def test_every_option_is_in_the_readme() -> None:
    names = {option.flag if option.typed else option.ini for option in options._OPTIONS}
    assert names <= _code(ROOT / "README.md")


@pytest.mark.parametrize(
    "document", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda path: path.name
)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    local = [target for target in targets if "://" not in target]
    assert not [target for target in local if not (document.parent / target).exists()]
