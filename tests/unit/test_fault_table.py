"""The table of faults stays a table, says all that was seen, and nothing that was not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.catalogue import ENGINES
from tests.faults.table import Cell, Seen, dump, load, rendered

words = st.text(st.sampled_from("ab |`-\n\r\u2028"), min_size=1, max_size=8)
cells = st.builds(Cell, words, words, st.lists(words, max_size=3))
titles = st.dictionaries(words, words, max_size=4)
places = st.tuples(words, st.sampled_from(ENGINES))


@st.composite
def observations(draw: st.DrawFn) -> tuple[dict[str, str], dict[str, dict[str, str]], list[Seen]]:
    """Faults of which each engine has a cell or a reason, or both."""
    named = draw(titles)
    elsewhere: dict[str, dict[str, str]] = {}
    seen = []
    for fault in named:
        for engine in ENGINES:
            cell = draw(st.one_of(st.none(), cells))
            if cell is not None:
                seen.append(Seen(fault, engine, cell))
            if cell is None or draw(st.booleans()):
                elsewhere.setdefault(fault, {})[engine] = draw(words)
    return named, elsewhere, draw(st.permutations(seen))


def columns(line: str) -> list[str]:
    """The cells of a row, as a reader of GitHub's Markdown splits it."""
    return re.findall(r"((?:\\.|[^|\\])*)\|", line.removeprefix("|"))


@given(st.builds(Seen, st.text(), st.text(), st.builds(Cell, st.text(), st.text(), st.just([]))))
def test_what_travels_on_a_report_comes_back(seen: Seen) -> None:
    assert load(dump(seen.fault, seen.engine, seen.cell)) == seen


@given(observations())
def test_it_is_a_table_whatever_the_words(
    told: tuple[dict[str, str], dict[str, dict[str, str]], list[Seen]],
) -> None:
    table = rendered(*told)
    lines = table.splitlines()
    assert len(lines) == 2 + len(told[0])
    assert {len(columns(line)) for line in lines} == {1 + len(ENGINES)}


@given(observations(), st.data())
def test_order_and_repetition_change_nothing(
    told: tuple[dict[str, str], dict[str, dict[str, str]], list[Seen]], data: st.DataObject
) -> None:
    named, elsewhere, seen = told
    again = data.draw(st.permutations(seen * 2))
    assert rendered(named, elsewhere, again) == rendered(named, elsewhere, seen)


@given(observations().filter(lambda told: bool(told[2])), st.data())
def test_what_was_seen_stands_in_its_place_and_wins_over_a_reason(
    told: tuple[dict[str, str], dict[str, dict[str, str]], list[Seen]], data: st.DataObject
) -> None:
    named, elsewhere, seen = told
    one = data.draw(st.sampled_from(seen))
    row = columns(rendered(named, elsewhere, seen).splitlines()[2 + list(named).index(one.fault)])
    cell = row[1 + ENGINES.index(one.engine)]
    told_there = f"{one.cell.outcome}, `{one.cell.cause}`: {'; '.join(one.cell.evidence)}"
    assert cell.replace("\\|", "|").split() == told_there.split()


@given(observations().filter(lambda told: bool(told[0])), st.data())
def test_an_empty_cell_without_a_reason_is_a_mistake(
    told: tuple[dict[str, str], dict[str, dict[str, str]], list[Seen]], data: st.DataObject
) -> None:
    named, elsewhere, seen = told
    fault, engine = data.draw(st.sampled_from(list(named))), data.draw(st.sampled_from(ENGINES))
    kept = [one for one in seen if (one.fault, one.engine) != (fault, engine)]
    excused = {
        name: {
            where: reason for where, reason in reasons.items() if (name, where) != (fault, engine)
        }
        for name, reasons in elsewhere.items()
    }
    with pytest.raises(ValueError, match="was not seen on"):
        rendered(named, excused, kept)


@given(observations().filter(lambda told: bool(told[2])), cells, st.data())
def test_two_sightings_that_differ_are_a_mistake(
    told: tuple[dict[str, str], dict[str, dict[str, str]], list[Seen]],
    other: Cell,
    data: st.DataObject,
) -> None:
    named, elsewhere, seen = told
    one = data.draw(st.sampled_from(seen))
    differing = data.draw(st.permutations([*seen, Seen(one.fault, one.engine, other)]))
    if other == one.cell:
        rendered(named, elsewhere, differing)
    else:
        with pytest.raises(ValueError, match="was judged in two ways"):
            rendered(named, elsewhere, differing)
