"""Sandboxes as containers behind a Docker API.

This imports the client library: import it only when an engine is to be constructed.
"""

from pytest_reseval.engines.docker.engine import DockerEngine

__all__ = ["DockerEngine"]
