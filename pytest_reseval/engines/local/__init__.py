"""The local engine: sandboxes made of this Linux host's own system, without a daemon or images."""

from pytest_reseval.engines.local.engine import LocalEngine

__all__ = ["LocalEngine"]
