"""The translation of a request into the engine's terms."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.engines.base import SandboxRequest
from pytest_reseval.engines.docker.config import (
    container_config,
    container_name,
    cpu_quota,
    cpu_shares,
    oom_score_adj,
)
from pytest_reseval.resources import GIB, MIB, Resources

CAPPED = Resources(512 * MIB, 1536 * MIB, 1.0, 3.0, 100, storage_limit=10 * GIB)
UNCAPPED = Resources(512 * MIB, None, 1.0, None, 100, storage_limit=10 * GIB)


def _config(
    resources: Resources = CAPPED,
    *,
    bounds_storage: bool = False,
    joined: str | None = None,
    **request: Any,
) -> dict[str, Any]:
    return container_config(
        SandboxRequest("name", "image:1", resources, **request),
        owner={"org.pytest-reseval.owner-pid": "7"},
        mark="mark",
        host_memory=16 * GIB,
        bounds_storage=bounds_storage,
        network=joined,
    )


def test_guarantee_and_limit_are_two_numbers() -> None:
    host = _config()["HostConfig"]
    assert host["Memory"] == 1536 * MIB
    assert host["MemoryReservation"] == 512 * MIB
    assert host["CpuShares"] == 1024
    assert host["CpuQuota"] / host["CpuPeriod"] == 3.0
    assert host["PidsLimit"] == 100
    assert "NanoCpus" not in host


def test_swap_is_no_hidden_headroom() -> None:
    host = _config()["HostConfig"]
    assert host["MemorySwap"] == host["Memory"]


def test_uncapped_keeps_the_guarantee() -> None:
    host = _config(UNCAPPED)["HostConfig"]
    assert {"Memory", "MemorySwap", "CpuQuota"}.isdisjoint(host)
    assert host["MemoryReservation"] == 512 * MIB
    assert host["CpuShares"] == 1024


def test_storage_is_bounded_only_where_the_driver_can() -> None:
    assert "StorageOpt" not in _config()["HostConfig"]
    bounded = _config(bounds_storage=True)["HostConfig"]
    assert bounded["StorageOpt"] == {"size": str(10 * GIB)}


def test_network_is_off_only_when_asked() -> None:
    assert "NetworkMode" not in _config()["HostConfig"]
    assert _config(network=False)["HostConfig"]["NetworkMode"] == "none"


def test_the_run_s_network_is_joined_by_those_that_have_one() -> None:
    assert _config(joined="reseval-a-run")["HostConfig"]["NetworkMode"] == "reseval-a-run"
    offline = _config(joined="reseval-a-run", network=False)
    assert offline["HostConfig"]["NetworkMode"] == "none"


def test_it_waits_for_its_owner_and_keeps_its_counters() -> None:
    config = _config()
    assert all(config[option] for option in ("OpenStdin", "StdinOnce", "AttachStdin"))
    assert "AutoRemove" not in config["HostConfig"]
    assert "Privileged" not in config["HostConfig"]
    assert "Binds" not in config["HostConfig"]
    assert config["Cmd"] == ["mark"]


def test_environment_workdir_and_labels() -> None:
    config = _config(env={"A": "x=y"}, workdir="/app", labels={"run": "r1"})
    assert config["Env"] == ["A=x=y"]
    assert config["WorkingDir"] == "/app"
    assert config["Labels"] == {
        "org.pytest-reseval.run": "r1",
        "org.pytest-reseval.owner-pid": "7",
    }
    assert "WorkingDir" not in _config()


def test_the_owner_cannot_be_overridden_by_a_label() -> None:
    labels = _config(labels={"owner-pid": "1"})["Labels"]
    assert labels["org.pytest-reseval.owner-pid"] == "7"


@given(name=st.text(max_size=200))
def test_any_name_makes_a_container_name(name: str) -> None:
    made = container_name(SandboxRequest(name, None, CAPPED))
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", made)
    assert len(made) < 80


def test_names_do_not_collide() -> None:
    request = SandboxRequest("same", None, CAPPED)
    assert container_name(request) != container_name(request)


@pytest.mark.parametrize(
    ("cores", "shares"), [(1.0, 1024), (0.5, 512), (0.001, 2), (4096.0, 262_144)]
)
def test_cpu_shares(cores: float, shares: int) -> None:
    assert cpu_shares(cores) == shares


@pytest.mark.parametrize(("cores", "quota"), [(1.5, 150_000), (0.001, 1000), (64.0, 6_400_000)])
def test_cpu_quota(cores: float, quota: int) -> None:
    assert cpu_quota(cores) == quota


@pytest.mark.parametrize(
    ("guarantee", "score"), [(8 * GIB, 500), (16 * GIB, 2), (32 * GIB, 2), (1 * MIB, 999)]
)
def test_oom_score_is_the_kubelets(guarantee: int, score: int) -> None:
    assert oom_score_adj(guarantee, 16 * GIB) == score
