"""Makes the base image that the example tasks share, once a run, where Docker runs them."""

from __future__ import annotations

import pytest


def pytest_reseval_prepare(engine: object) -> None:
    if engine.info.name != "docker":  # type: ignore[attr-defined]
        return
    import base_image
    import docker

    try:
        client = docker.from_env()
        try:
            base_image.ensure(client)
        finally:
            client.close()
    except base_image.BaseImageError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_reseval_agent(name: str) -> object:
    if name != "strategies":
        return None
    from benchmarks.reference_study.agent import Strategies

    return Strategies()
