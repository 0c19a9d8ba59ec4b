"""``reseval clean`` on a Docker engine: what is proved to be nobody's goes, all else stays."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from click.testing import CliRunner

from pytest_reseval.commands import main
from pytest_reseval.engines.docker import builds, orphans
from pytest_reseval.engines.docker.client import Client

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]

LABEL = "reseval-test"


@pytest.fixture
def unique(api: docker.APIClient) -> Iterator[str]:
    """A label's value; whatever bears it is removed after the test."""
    value = uuid.uuid4().hex
    filters = {"label": f"{LABEL}={value}"}
    yield value
    for container in api.containers(all=True, filters=filters):
        api.remove_container(container["Id"], force=True)
    for network in api.networks(filters=filters):
        api.remove_network(network["Id"])
    for volume in api.volumes(filters=filters)["Volumes"] or ():
        api.remove_volume(volume["Name"])
    while listed := api.images(all=True, filters=filters):
        parents = {image["ParentId"] for image in listed}
        for image in listed:
            if image["Id"] not in parents:
                api.remove_image(image["Id"], force=True)


@pytest.fixture
def api() -> Iterator[docker.APIClient]:
    """Docker's own client, to look from outside."""
    client = docker.from_env()
    yield client.api
    client.close()


def make(api: docker.APIClient, image: str, name: str, labels: dict[str, str]) -> None:
    api.create_container(image, ["true"], name=name, labels=labels)
    api.create_network(name, labels=labels)
    api.create_volume(name, labels=labels)


def kinds(api: docker.APIClient, name: str) -> set[str]:
    containers = api.containers(all=True, filters={"name": name})
    networks = api.networks(names=[name])
    volumes = api.volumes(filters={"name": name})["Volumes"] or ()
    found = {"container": containers, "network": networks, "volume": volumes}
    return {kind for kind, listed in found.items() if listed}


def test_objects_of_the_dead(
    api: docker.APIClient,
    base_image: str,
    unique: str,
    tmp_path: Path,
) -> None:
    living = orphans.owner_labels(orphans.Place.here()) | {LABEL: unique}
    # Of another host nothing is known; of an earlier boot of this one all have ended.
    elsewhere = living | {f"{orphans.PREFIX}host": "another", f"{orphans.PREFIX}boot": unique}
    dead = living | {
        f"{orphans.PREFIX}boot": unique,
        f"{orphans.PREFIX}run": "a-run",
        f"{orphans.PREFIX}trial": "a-trial",
    }
    names = {which: f"reseval-{which}-{unique}" for which in ("living", "elsewhere", "dead")}
    make(api, base_image, names["living"], living)
    make(api, base_image, names["elsewhere"], elsewhere)
    make(api, base_image, names["dead"], dead)

    command = ["clean", f"--ledger={tmp_path / 'ledger'}"]
    dry = CliRunner().invoke(main, [*command, "--dry-run"])
    assert dry.exit_code == 0
    lines = [line for line in dry.stdout.splitlines() if unique in line]
    assert {line.split()[0] for line in lines} == {"container", "network", "volume"}
    assert all("run a-run, trial a-trial, process " in line for line in lines)
    assert all(names["dead"] in line and line.endswith("would be removed") for line in lines)
    assert kinds(api, names["dead"]) == {"container", "network", "volume"}

    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0
    lines = [line for line in done.stdout.splitlines() if unique in line]
    assert len(lines) == 3
    assert all(line.endswith(" removed") for line in lines)
    assert kinds(api, names["dead"]) == set()
    for which in ("living", "elsewhere"):
        assert kinds(api, names[which]) == {"container", "network", "volume"}


def test_layers_that_others_use_stay(
    api: docker.APIClient,
    base_image: str,
    unique: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A dead builder's journal names a chain of layers, one of which has been named since."""
    monkeypatch.setattr(builds, "_directory", lambda: tmp_path)
    with_label = f"FROM {base_image}\nLABEL {LABEL}={unique}\n"
    (tmp_path / "Dockerfile").write_text(f"{with_label}RUN echo 1\nRUN echo 2\nRUN echo 3\n")
    client = Client.connect()
    journal = builds.Journal.claim(builds.journal_path(client, "digest"))
    assert journal is not None
    journal.begin("pytest-reseval/dead:digest")
    for message in api.build(path=str(tmp_path), decode=True, rm=True):
        journal.hear(message.get("stream", ""))
    [label, first, second, third] = journal.read().images
    api.tag(second, f"reseval-test-theirs-{unique}", "1")
    assert builds.orphans(client) == [], "its builder lives"
    journal.close()

    found = builds.orphans(client)
    assert [one.kind for one in found] == ["image", "journal"]
    assert found[0].name == third
    for one in found:
        builds.remove(client, one)
    assert builds.orphans(client) == []
    client.close()
    left = {image["Id"] for image in api.images(all=True, filters={"label": f"{LABEL}={unique}"})}
    assert {one.removeprefix("sha256:")[:12] for one in left} == {label, first, second}


def test_an_engine_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            Path(sysconfig.get_path("scripts"), "reseval"),
            "clean",
            "--dry-run",
            f"--ledger={tmp_path}",
        ],
        env={
            "DOCKER_HOST": f"unix://{tmp_path}/none",
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    told = f"docker: not looked at: no Docker API answers at unix://{tmp_path}/none: "
    assert done.stdout.startswith(told)
