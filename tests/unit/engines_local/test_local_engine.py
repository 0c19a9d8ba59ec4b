from __future__ import annotations

import pytest

from pytest_reseval.engines.local.engine import oom_score_adj
from pytest_reseval.resources import GIB, MIB


@pytest.mark.parametrize(
    ("guarantee", "memory", "score"),
    [
        (0, GIB, 999),
        (MIB, 64 * GIB, 999),
        (GIB, 4 * GIB, 750),
        (2 * GIB, 4 * GIB, 500),
        (4 * GIB, 4 * GIB, 2),
        (8 * GIB, 4 * GIB, 2),
    ],
)
def test_who_is_promised_more_is_killed_later(guarantee: int, memory: int, score: int) -> None:
    assert oom_score_adj(guarantee, memory) == score
