"""One table of options: command line, ini file and help, resolved into one frozen Settings.

Precedence: command line, then ini file, then the default of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_reseval.resources import Headroom, QuantityError, parse_cores, parse_memory

if TYPE_CHECKING:
    from pytest_reseval.attempts import RetryPolicy
    from pytest_reseval.gates import InfraGate, ScoreGate


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose; bytes, cores, seconds."""

    headroom: tuple[Headroom, ...]
    headroom_typed: bool
    """The headrooms come from the command line, so they win over limits that authors declared."""
    samples: int
    seed: int | None
    agent: str
    engine: str
    admission: Literal["guarantee", "limit", "off"]
    oom: Literal["infra-error", "failed"]
    cpu_headroom: tuple[Headroom, ...]
    timeout_scale: tuple[float, ...]
    infra_retries: RetryPolicy
    fail_under: ScoreGate | None
    max_infra_rate: InfraGate | None
    results: Path | None
    resume: Path | None
    progress: float
    tasks: tuple[str, ...]
    image: str | None
    default_memory: int
    default_cpu: float
    default_storage: int
    pids_limit: int
    reserve_memory: int
    ledger: Path | None


@dataclass(frozen=True, slots=True)
class _Option:
    name: str
    parse: Callable[[str], Any]
    default: str
    help: str
    typed: bool = True
    """Whether it can be given on the command line; if not, in the ini file only."""
    moves_scores: bool = True
    """Whether it could move the score of a trial, rather than choose which are run or tell of them.
    """

    @property
    def flag(self) -> str:
        return "--reseval-" + self.name.replace("_", "-")

    @property
    def shown_as(self) -> str:
        """What the user writes to set it."""
        return self.flag if self.typed else self.ini

    @property
    def ini(self) -> str:
        return f"reseval_{self.name}"


def _headrooms(text: str) -> tuple[Headroom, ...]:
    return tuple(dict.fromkeys(Headroom.parse(word) for word in text.split(",")))


def _cpu_headrooms(text: str) -> tuple[Headroom, ...]:
    headrooms = _headrooms(text) if text else ()
    for headroom in headrooms:
        if headroom.grace is not None:
            raise ValueError("CPU is throttled, never killed, so it has no grace; write 2x, say")
    return headrooms


def _scales(text: str) -> tuple[float, ...]:
    words = (word.strip().removesuffix("x") for word in text.split(","))
    return tuple(dict.fromkeys(map(_positive, words)))


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"unknown: choose one of {', '.join(words)}")
        return text

    return parse


def _whole_number(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 1_000_000):
        raise ValueError("write a whole number from 1 to 1000000")
    return int(text)


def _seed(text: str) -> int | None:
    if text and not (text.isdecimal() and int(text) < 2**63):
        raise ValueError("write a whole number from 0 to 9223372036854775807")
    return int(text) if text else None


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1_000_000:
        raise ValueError("write a number above 0")
    return number


def _seconds(text: str) -> float:
    return 0.0 if text == "0" else _positive(text)


def _optional_path(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text else None


def _retries(text: str) -> RetryPolicy:
    from pytest_reseval.attempts import RetryPolicy

    return RetryPolicy.parse(text)


def _score_gate(text: str) -> ScoreGate | None:
    from pytest_reseval.gates import ScoreGate

    return ScoreGate.parse(text) if text else None


def _infra_gate(text: str) -> InfraGate | None:
    from pytest_reseval.gates import InfraGate

    return InfraGate.parse(text) if text else None


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


_OPTIONS = (
    _Option(
        "headroom",
        _headrooms,
        "3x",
        "limit / guarantee of memory and CPU: one or more of 1x, 1.5x, 3x, uncapped, "
        "lenient:2x/15s (ended after 15 s above the limit), …, separated by commas; every task is "
        "run under each",
        moves_scores=False,
    ),
    _Option(
        "cpu_headroom",
        _cpu_headrooms,
        "",
        "limit / guarantee of CPU where it is not that of memory; of several each is crossed with "
        "each of memory",
        moves_scores=False,
    ),
    _Option(
        "samples",
        _whole_number,
        "1",
        "independent repetitions of a task per headroom",
        moves_scores=False,
    ),
    _Option(
        "seed",
        _seed,
        "",
        "whole number from which the order of a sweep and the seeds of agents are drawn (default: "
        "one of chance, kept in the manifest)",
        moves_scores=False,
    ),
    _Option(
        "agent",
        str,
        "oracle",
        "who solves the tasks: oracle (the reference solution), nop (nobody), cmd:COMMAND "
        "(run in the sandbox), or a name that a conftest's pytest_reseval_agent hook knows",
    ),
    _Option(
        "engine",
        _one_of("auto", "docker", "local"),
        "auto",
        "where sandboxes run: docker, local, or auto (docker if it answers, else local)",
    ),
    _Option(
        "admission",
        _one_of("guarantee", "limit", "off"),
        "guarantee",
        "what must fit the host before a sandbox starts: the sum of guarantees, of limits, or off",
    ),
    _Option(
        "oom",
        _one_of("infra-error", "failed"),
        "infra-error",
        "what a kill at the sandbox's own limit is called: infra-error or failed",
    ),
    _Option(
        "timeout_scale",
        _scales,
        "1",
        "factor on the build, agent and verifier timeouts; of several, separated by commas, every "
        "task is run under each",
        moves_scores=False,
    ),
    _Option(
        "infra_retries",
        _retries,
        "0",
        "how often a task that ended in an infra-error is tried again; never after oom-limit, "
        "except when written as N,oom-limit",
        moves_scores=False,
    ),
    _Option(
        "fail_under",
        _score_gate,
        "",
        "gate: the least score, like 0.6, or lower:0.6 for the lower end of its 95%% interval; "
        "with it single trials that did not pass are no reason for status 1",
        moves_scores=False,
    ),
    _Option(
        "max_infra_rate",
        _infra_gate,
        "",
        "gate: the highest rate of infra-errors, like 0.02; with it single infra-errors are no "
        "reason for status 75",
        moves_scores=False,
    ),
    _Option(
        "results",
        _optional_path,
        "",
        "folder for manifest.json and trials.jsonl (default: reseval-runs/TIME under the rootdir)",
        moves_scores=False,
    ),
    _Option(
        "resume",
        _optional_path,
        "",
        "go on with the run whose records are in this folder: what passed or failed stands, the "
        "rest is run",
        moves_scores=False,
    ),
    _Option(
        "progress",
        _seconds,
        "30",
        "seconds between two lines on what is in flight and what waits for admission; 0: none",
        moves_scores=False,
    ),
    _Option(
        "ledger",
        _optional_path,
        "",
        "folder of the host-wide admission ledger (default: one that all users share)",
        moves_scores=False,
    ),
    _Option(
        "tasks",
        _lines,
        "",
        "task directories (glob patterns, one a line, from the rootdir) for tests that use the "
        "task fixture",
        typed=False,
        moves_scores=False,
    ),
    _Option(
        "image",
        lambda text: text or None,
        "",
        "image for tests that use the sandbox fixture without a task",
        typed=False,
    ),
    _Option(
        "default_memory",
        parse_memory,
        "2GiB",
        "memory guarantee where a task or test states none",
        typed=False,
    ),
    _Option(
        "default_cpu",
        parse_cores,
        "1",
        "CPU guarantee in cores where a task or test states none",
        typed=False,
    ),
    _Option(
        "default_storage",
        parse_memory,
        "10GiB",
        "bytes of disk a sandbox may hold where a task states no storage",
        typed=False,
    ),
    _Option("pids_limit", _whole_number, "4096", "processes a sandbox may hold", typed=False),
    _Option(
        "reserve_memory",
        parse_memory,
        "512MiB",
        "memory of the host kept for the harness, at most a quarter of it",
        typed=False,
    ),
)


def declare(parser: pytest.Parser) -> None:
    """Tell pytest of every option."""
    group = parser.getgroup("reseval", "resource-aware evaluation (pytest-reseval)")
    for option in _OPTIONS:
        default = f" (default: {option.default})" if option.default else ""
        parser.addini(option.ini, option.help + default, default="")
        if option.typed:
            group.addoption(option.flag, dest=option.ini, default=None, help=option.help + default)


def any_given(config: pytest.Config, typed: object) -> bool:
    """Whether this project uses the plugin: an option was typed, or the ini file says so.

    It does by naming tasks, or a run to go on with. ``typed`` is the namespace of the command line
    as far as it is known.
    """
    named = config.getini("reseval_tasks") or config.getini("reseval_resume")
    return bool(named) or any(getattr(typed, option.ini, None) is not None for option in _OPTIONS)


def resolve(config: pytest.Config) -> Settings:
    """The settings of this run. Raises pytest.UsageError naming option, value and mend."""
    values: dict[str, Any] = {option.name: _value(config, option) for option in _OPTIONS}
    if values["resume"] and config.getoption("reseval_results", None):
        raise pytest.UsageError(
            "--reseval-results cannot stand beside --reseval-resume, which goes on in the folder "
            "that it names; leave one of them out"
        )
    typed = any(
        config.getoption(name, None) is not None
        for name in ("reseval_headroom", "reseval_cpu_headroom")
    )
    return Settings(headroom_typed=typed, **values)


def shown(config: pytest.Config) -> dict[str, str]:
    """Every option with the text it holds, for the manifest."""
    return {option.name: _text(config, option)[0] for option in _OPTIONS}


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """A sentence for each option that could move a score and is not what it was.

    Both are as ``shown`` tells them; an option that the earlier version did not know had its
    default. ``engine`` is left out: what ``auto`` chose has to be compared.
    """
    found = []
    for option in _OPTIONS:
        if not option.moves_scores or option.name == "engine":
            continue
        before, after = then.get(option.name, option.default), now[option.name]
        if before != after and option.parse(before) != option.parse(after):
            found.append(f"{option.shown_as} was {before!r} and is now {after!r}")
    return found


def _text(config: pytest.Config, option: _Option) -> tuple[str, str]:
    typed = config.getoption(option.ini, None) if option.typed else None
    if typed is not None:
        if not str(typed).strip():
            raise pytest.UsageError(f"{option.flag}= has no value; write one, or leave it out")
        return str(typed), option.flag
    written = str(config.getini(option.ini)).strip()
    if written:
        return written, f"{config.inipath}: {option.ini}"
    return option.default, option.ini


def _value(config: pytest.Config, option: _Option) -> object:
    text, place = _text(config, option)
    try:
        return option.parse(text)
    except QuantityError as error:
        raise pytest.UsageError(f"{place}: {error}") from None
    except ValueError as error:
        raise pytest.UsageError(f"{place} = {text!r}: {error}") from None
