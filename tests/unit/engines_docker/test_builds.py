"""What a build made is known by what the engine says, and what may go by what is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.engines.docker import builds
from pytest_reseval.engines.docker.builds import Journal, Narration, removable

SAID = """\
Step 1/7 : FROM debian AS first|\n
 ---> 000000000001\n
Step 2/7 : RUN one|\n
 ---> Running in aaaaaaaaaaaa\n
Removing intermediate container aaaaaaaaaaaa\n
 ---> 000000000002\n
Step 3/7 : COPY x /x|\n
 ---> 000000000003\n
Step 4/7 : FROM debian|\n
 ---> 000000000001\n
Step 5/7 : RUN one|\n
 ---> Using cache\n
 ---> 000000000004\n
Step 6/7 : RUN echo ---> 00000000000f|\n
 ---> Running in bbbbbbbbbbbb\n
it made ---> 00000000000f\n
 ---> 000000000005\n
Successfully built 000000000005\n"""


def test_what_is_made_is_heard() -> None:
    narration = Narration()
    messages = [part for line in SAID.splitlines(True) for part in line.split("|") if part != "\n"]
    heard = [narration.hear(message) for message in messages]
    assert [one for one in heard if one] == [
        ("container", "aaaaaaaaaaaa"),
        ("image", "000000000002"),
        ("image", "000000000003"),
        ("container", "bbbbbbbbbbbb"),
        ("image", "000000000005"),
    ]


def image(name: str, parent: str = "", tag: str | None = None, **fields: Any) -> dict[str, Any]:
    tags = [tag] if tag else ["<none>:<none>"]
    return {"Id": name, "ParentId": parent, "RepoTags": tags, "RepoDigests": None, **fields}


def test_a_broken_chain_goes_children_first() -> None:
    listed = [image("base", tag="debian:1"), image("one", "base"), image("two", "one")]
    assert removable(listed, {"one", "two"}) == ["two", "one"]


def test_what_leads_to_a_named_image_stays() -> None:
    listed = [image("one"), image("two", "one", tag="pytest-reseval/x:1"), image("stage")]
    assert removable(listed, {"one", "two", "stage"}) == ["stage"]


def test_what_others_built_upon_or_named_stays() -> None:
    digest = image("pulled", RepoDigests=["debian@sha256:1"])
    listed = [image("one"), image("two", "one"), image("theirs", "two"), digest]
    assert removable(listed, {"one", "two", "pulled"}) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.booleans()), max_size=12))
def test_nothing_is_removed_that_is_not_ours_or_has_a_child_left(
    drawn: list[tuple[int, bool, bool]],
) -> None:
    listed = [
        image(str(number), str(parent) if parent < number else "", "x:1" if named else None)
        for number, (parent, named, _) in enumerate(drawn)
    ]
    ours = {str(number) for number, (_, _, is_ours) in enumerate(drawn) if is_ours}
    left = {one["Id"]: one for one in listed}
    for name in removable(listed, ours):
        assert name in ours
        assert left.pop(name)["RepoTags"] == ["<none>:<none>"]
        assert name not in {one["ParentId"] for one in left.values()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "build-engine-digest"


def claim(path: Path) -> Journal:
    journal = Journal.claim(path)
    assert journal is not None
    return journal


def test_a_journal_has_one_writer(path: Path) -> None:
    journal = claim(path)
    assert Journal.claim(path) is None
    journal.close()
    assert not path.exists(), "an empty journal is nothing to keep"
    claim(path).close()


def test_a_journal_outlives_a_writer_that_did_not_clear_it(path: Path) -> None:
    journal = claim(path)
    journal.begin("pytest-reseval/x:1")
    journal.hear(" ---> Running in aaaaaaaaaaaa\n")
    journal.hear(" ---> 000000000002\n")
    journal.close()
    with path.open("a") as file:
        file.write('{"image": "00000')
    again = claim(path)
    made = again.read()
    assert (made.tag, made.pid) == ("pytest-reseval/x:1", os.getpid())
    assert (made.containers, made.images) == (["aaaaaaaaaaaa"], ["000000000002"])
    again.clear()
    again.close()
    assert not path.exists()


def test_a_directory_of_others_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setattr(builds, "_directory", lambda: tmp_path / "link")
    assert builds.orphans(None) == []  # type: ignore[arg-type]
    monkeypatch.setattr(builds, "_directory", lambda: tmp_path / "none")
    assert builds.orphans(None) == []  # type: ignore[arg-type]
