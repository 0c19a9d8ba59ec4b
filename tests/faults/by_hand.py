"""Names and titles of the faults that come from outside of any task (``test_by_hand``)."""

from __future__ import annotations

TITLES = {
    "host-oom": "the host runs out of memory while the sandbox is below its guarantee",
    "engine-dead": "the engine's socket is dead at the start",
    "engine-killed": "the engine is killed in mid-run and started again",
    "engine-killed-retried": "the same with `--reseval-infra-retries`",
    "sandbox-removed": "somebody else removes the sandbox",
    "worker-killed": "an xdist worker is killed",
    "controller-killed": "the controller is killed",
    "everything-killed": "`kill -9` of everything",
    "ctrl-c-1": "Ctrl-C",
    "ctrl-c-2": "Ctrl-C twice",
    "clock-set": "the clock is set back by 400 days while a trial runs",
    "results-full": "the disk of the records is full when the verdict comes",
    "output-flood": "10 GB of output",
    "agent-service": "the agent's own service fails",
    "tools-broken-by-nobody": "the verifier cannot fetch its tools, and writes reward 0",
    "tools-broken-by-agent": "the agent breaks the verifier's tools, which writes reward 0",
    "hidden-tests": "the agent looks for hidden tests and solution",
}

NO_DAEMON = "there is no daemon"

ELSEWHERE = {
    "engine-dead": {"local": NO_DAEMON},
    "engine-killed": {"local": NO_DAEMON},
    "engine-killed-retried": {"local": NO_DAEMON},
}
"""Engines on which a fault cannot happen, with the reason."""
