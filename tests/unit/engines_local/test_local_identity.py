from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.engines.local.keeper.execution import find_identity

PASSWD = """\
root:x:0:0:root:/root:/bin/bash
broken line
worse:x:not a number:1::/:/bin/sh
agent:x:1000:100:,,,:/home/agent:/bin/sh
homeless:x:1001:1001:::/bin/sh
"""
GROUP = """\
root:x:0:
users:x:100:
docker:x:998:agent,other
odd:x:many:agent
audio:x:29:agent
"""


@pytest.mark.parametrize(
    ("user", "uid", "gid", "groups", "home"),
    [
        ("root", 0, 0, [], "/root"),
        ("0", 0, 0, [], "/root"),
        ("agent", 1000, 100, [998, 29], "/home/agent"),
        ("1000", 1000, 100, [998, 29], "/home/agent"),
        ("agent:docker", 1000, 998, [], "/home/agent"),
        ("agent:5", 1000, 5, [], "/home/agent"),
        ("4000", 4000, 0, [], "/"),
        ("4000:4001", 4000, 4001, [], "/"),
        ("homeless", 1001, 1001, [], "/"),
    ],
)
def test_known_users(user: str, uid: int, gid: int, groups: list[int], home: str) -> None:
    found = find_identity(user, PASSWD, GROUP)
    assert (found.uid, found.gid, found.groups, found.home) == (uid, gid, groups, home)


@pytest.mark.parametrize("user", ["nobody", "worse", "agent:none", "", "-1", "agent:-1"])
def test_unknown_users(user: str) -> None:
    with pytest.raises(LookupError):
        find_identity(user, PASSWD, GROUP)


def test_root_needs_no_file() -> None:
    found = find_identity("0", "", "")
    assert (found.uid, found.gid, found.home) == (0, 0, "/root")


@given(st.text(), st.text())
def test_files_of_the_agent_can_say_anything(passwd: str, group: str) -> None:
    assert find_identity("4711:4712", passwd, group).home.startswith("/") or "4711" in passwd
