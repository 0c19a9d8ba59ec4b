"""Names of images, and deadlines."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.engines.docker.commands import argv
from pytest_reseval.engines.docker.images import Deadline, image_tag

DIGEST = "0" * 64


@given(name=st.text(max_size=300))
def test_any_name_makes_a_tag(name: str) -> None:
    repository, _, tag = image_tag(name, DIGEST).partition(":")
    assert re.fullmatch(r"pytest-reseval/[a-z0-9]+(-[a-z0-9]+)*", repository)
    assert len(repository) < 200
    assert tag == DIGEST


def test_readable() -> None:
    assert image_tag("Bn fit/Modify", DIGEST) == f"pytest-reseval/bn-fit-modify:{DIGEST}"


def test_no_deadline_never_passes() -> None:
    assert Deadline(None).left() is None
    assert not Deadline(None).passed()


def test_a_deadline_that_has_passed_leaves_a_timeout_that_ends_at_once() -> None:
    deadline = Deadline(0)
    assert deadline.passed()
    left = deadline.left()
    assert left is not None
    assert 0 < left < 0.01


def test_strings_go_to_a_shell_and_lists_do_not() -> None:
    assert argv("a | b", None) == ["sh", "-c", "a | b"]
    assert argv(("printf", "$x"), None) == ["printf", "$x"]


def test_a_workdir_is_an_argument_and_no_part_of_the_script() -> None:
    script, name, workdir, *command = argv(["true"], "/a'; rm -rf /")[2:]
    assert "rm -rf" not in script
    assert (name, workdir, command) == ("sh", "/a'; rm -rf /", ["true"])
