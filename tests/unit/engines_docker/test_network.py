"""Networks of engines that do not do what they are asked for."""

from __future__ import annotations

from typing import cast

import pytest
import requests
from docker.errors import APIError, NotFound

from pytest_reseval.engines.docker.client import Client
from pytest_reseval.engines.docker.network import CannotSeparate, Networks, is_missing

NOT_KNOWN = '"com.docker.network.bridge.enable_icc: false" is not a recognized option'


class Api:
    """An API that keeps networks, and may warn or be gone."""

    def __init__(self, warning: str = "", gone: bool = False) -> None:
        self.networks: dict[str, dict[str, str]] = {}
        self._warning = warning
        self._gone = gone

    def create_network(self, name: str, *, labels: dict[str, str], **_: object) -> dict[str, str]:
        self.networks[name] = labels
        if self._gone:
            raise requests.ConnectionError("hung up")
        return {"Id": name, "Warning": self._warning}

    def remove_network(self, name: str) -> None:
        if name not in self.networks:
            raise NotFound("no such network")
        del self.networks[name]


def networks_of(api: Api) -> Networks:
    return Networks(cast(Client, api), {"owner": "me"})


def test_names_are_readable_and_of_one_network_each() -> None:
    api = Api()
    made = networks_of(api)
    names = {made.make("a-run"), made.make("a-run")}
    assert names == set(api.networks)
    assert all(name.startswith("reseval-a-run-") for name in names)
    assert all(
        labels == {"org.pytest-reseval.run": "a-run", "owner": "me"}
        for labels in api.networks.values()
    )
    made.remove()
    assert not api.networks


def test_an_option_that_is_ignored_is_no_separation() -> None:
    """Podman makes the network all the same, and warns."""
    api = Api(warning=NOT_KNOWN)
    with pytest.raises(CannotSeparate, match="not a recognized option"):
        networks_of(api).make("a-run")
    assert not api.networks


def test_one_whose_making_was_broken_off_is_removed() -> None:
    api = Api(gone=True)
    made = networks_of(api)
    with pytest.raises(CannotSeparate, match="hung up"):
        made.make("a-run")
    assert api.networks
    made.remove()
    assert not api.networks


@pytest.mark.parametrize(
    ("name", "error", "missing"),
    [
        ("ours", NotFound("", explanation="network ours not found"), True),
        ("ours", NotFound("", explanation="No such image: theirs"), False),
        ("ours", APIError("", explanation="network ours is full"), False),
        (None, NotFound("", explanation="network ours not found"), False),
        ("ours", None, False),
    ],
)
def test_only_a_missing_network_is_replaced(
    name: str | None, error: BaseException | None, missing: bool
) -> None:
    assert is_missing(name, error) is missing
