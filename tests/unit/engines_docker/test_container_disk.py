"""What of an inspected container lies on the host's disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_reseval.engines.docker.disk import writable_layer, written_beside

ROOT = "/var/lib/docker"
TOLD: dict[str, Any] = {
    "GraphDriver": {
        "Name": "overlay2",
        "Data": {"UpperDir": f"{ROOT}/overlay2/0af/diff", "WorkDir": f"{ROOT}/overlay2/0af/work"},
    },
    "HostsPath": f"{ROOT}/containers/0af/hosts",
    "HostnamePath": f"{ROOT}/containers/0af/hostname",
    "ResolvConfPath": f"{ROOT}/containers/0af/resolv.conf",
    "Mounts": [
        {"Type": "volume", "Source": f"{ROOT}/volumes/7cd/_data"},
        {"Type": "bind", "Source": "/srv"},
        {"Type": "tmpfs", "Source": ""},
    ],
}


def test_the_writable_layer_is_the_upper_directory() -> None:
    assert writable_layer(TOLD) == Path(f"{ROOT}/overlay2/0af/diff")


@pytest.mark.parametrize("driver", [None, {"Data": None}, {"Data": {"Dataset": "pool/0af"}}])
def test_not_every_storage_driver_has_one(driver: dict[str, Any] | None) -> None:
    assert writable_layer(TOLD | {"GraphDriver": driver}) is None


def test_volumes_and_files_that_the_engine_mounts_are_written_to_as_well() -> None:
    assert written_beside(TOLD) == [
        Path(ROOT, place)
        for place in (
            "volumes/7cd/_data",
            "containers/0af/hosts",
            "containers/0af/hostname",
            "containers/0af/resolv.conf",
        )
    ]


def test_an_engine_need_not_mount_files() -> None:
    told = {key: TOLD[key] for key in ("GraphDriver", "Mounts")}
    assert written_beside(told | {"HostsPath": ""}) == [Path(ROOT, "volumes/7cd/_data")]
