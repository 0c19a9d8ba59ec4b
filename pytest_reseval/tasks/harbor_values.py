"""The values of a Harbor task file, in bytes, seconds and cores, or the error that tells the mend.

Every function takes the document, for its errors, and raises TaskError for a value that cannot be
meant and for two keys that contradict each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pytest_reseval.printable import shown
from pytest_reseval.resources import (
    MIB,
    SMALLEST_LIMIT,
    format_memory,
    parse_cores,
    parse_memory,
)
from pytest_reseval.tasks.harbor_schema import (
    AgentTable,
    Document,
    EnvironmentTable,
    HealthcheckTable,
    TaskTable,
    VerifierTable,
)
from pytest_reseval.tasks.model import Healthcheck

Section = tuple[str, ...]
"""Where a table stands in the file, for errors."""

ENVIRONMENT: Section = ("environment",)
VERIFIER_ENVIRONMENT: Section = ("verifier", "environment")

_LONGEST = 7 * 24 * 3600
_NETWORK_MODES = ("public", "no-network", "allowlist")


def memory_guarantee(
    document: Document, table: EnvironmentTable, section: Section = ENVIRONMENT
) -> int | None:
    """Bytes promised to the task; None when the file says nothing."""
    amount = _size(document, section, "memory", table.memory, table.memory_mb)
    if amount is not None and amount < SMALLEST_LIMIT:
        raise document.error(
            *section,
            "memory" if table.memory_mb is None else "memory_mb",
            mend=f"{format_memory(amount)} is less than starting a sandbox may need; "
            f"write at least {format_memory(SMALLEST_LIMIT)}",
        )
    return amount


def storage_limit(
    document: Document, table: EnvironmentTable, section: Section = ENVIRONMENT
) -> int | None:
    """Bytes of disk; None when the file says nothing."""
    return _size(document, section, "storage", table.storage, table.storage_mb)


def _size(
    document: Document,
    section: Section,
    key: Literal["memory", "storage"],
    text: int | str | None,
    mib: int | None,
) -> int | None:
    """Bytes from ``KEY = "2G"`` or ``KEY_mb = 2048``; both may stand there if they agree."""
    from_text = from_number = None
    if isinstance(text, int):
        raise document.error(
            *section,
            key,
            mend=f"a bare number has no unit; write a string such as '2G', or {key}_mb in MiB",
        )
    if text is not None:
        try:
            from_text = parse_memory(text)
        except (ValueError, OverflowError):
            raise document.error(
                *section, key, mend="write an amount such as '512M' or '2G', up to 1024 TiB"
            ) from None
    if mib is not None:
        try:
            from_number = parse_memory(mib * MIB)
        except ValueError:
            raise document.error(
                *section, f"{key}_mb", mend="write a number of MiB from 1 to 1073741824"
            ) from None
    if from_text is not None and from_number is not None and from_text != from_number:
        raise document.error(
            *section, key, mend=f"{key}_mb = {mib} says otherwise; keep one of the two"
        )
    return from_number if from_text is None else from_text


def cores(document: Document, cpus: float | None, section: Section = ENVIRONMENT) -> float | None:
    """Cores promised to the task; None when the file says nothing."""
    try:
        return None if cpus is None else parse_cores(cpus)
    except (ValueError, OverflowError):
        raise document.error(
            *section, "cpus", mend="write a number of cores between 0.01 and 4096"
        ) from None


def timeout(document: Document, seconds: float, *path: str) -> float:
    """Seconds above zero and at most a week."""
    if not 0 < seconds <= _LONGEST:
        raise document.error(
            *path, mend=f"write a number of seconds above 0 and at most {_LONGEST} (a week)"
        )
    return seconds


def healthcheck(
    document: Document, table: HealthcheckTable, section: Section = ENVIRONMENT
) -> Healthcheck:
    """The healthcheck; its intervals and its start period may be zero."""
    path = (*section, "healthcheck")

    def interval(seconds: float, key: str) -> float:
        return seconds if seconds == 0 else timeout(document, seconds, *path, key)

    if not table.command.strip() or "\0" in table.command:
        raise document.error(
            *path, "command", mend="write a shell command, or remove the healthcheck"
        )
    if table.retries < 1:
        raise document.error(*path, "retries", mend="write a whole number of at least 1")
    return Healthcheck(
        command=table.command,
        interval=interval(table.interval_sec, "interval_sec"),
        timeout=timeout(document, table.timeout_sec, *path, "timeout_sec"),
        start_period=interval(table.start_period_sec, "start_period_sec"),
        start_interval=interval(table.start_interval_sec, "start_interval_sec"),
        retries=table.retries,
    )


def image(
    document: Document, table: EnvironmentTable, section: Section = ENVIRONMENT
) -> str | None:
    """The name of a prebuilt image; None when the key is absent or empty."""
    name = table.docker_image or None
    if name is not None and re.search(r"[\s\0]", name):
        raise document.error(
            *section, "docker_image", mend="write the name of an image, without blanks"
        )
    return name


def workdir(
    document: Document, table: EnvironmentTable, section: Section = ENVIRONMENT
) -> str | None:
    """The absolute path in which commands start; None when the key is absent or empty."""
    path = table.workdir or None
    if path is not None and (not path.startswith("/") or "\0" in path):
        raise document.error(*section, "workdir", mend="write an absolute path like '/app'")
    return path


def user(document: Document, name: int | str | None, section: str) -> str | None:
    """The name or number of a user, as text; None when the key is absent or empty."""
    if name is None or name == "":
        return None
    if re.search(r"[\s\0]", name) if isinstance(name, str) else not 0 <= name < 2**32:
        raise document.error(section, "user", mend="write the name or the number of a user")
    return str(name)


def variables(document: Document, table: Mapping[str, object], *section: str) -> dict[str, str]:
    """The environment variables of a table ``env``."""
    result = {}
    for name, value in table.items():
        if not name or "=" in name or "\0" in name:
            raise document.error(
                *section, "env", name, mend="a variable cannot be called so; give it another name"
            )
        if not isinstance(value, str) or "\0" in value:
            raise document.error(
                *section, "env", name, mend="write a string, in quotes and without NUL"
            )
        result[name] = value
    return result


def network_mode(
    document: Document, table: EnvironmentTable, section: Section = ENVIRONMENT
) -> str:
    """The environment's mode; ``allow_internet`` is an older way to say two of the three."""
    mode = phase_network_mode(document, table, *section)
    if table.allow_internet is None:
        return mode or "public"
    allowed = "public" if table.allow_internet else "no-network"
    if mode not in (None, allowed):
        raise document.error(
            *section,
            "allow_internet",
            mend=f"network_mode = {mode!r} says otherwise; keep network_mode",
        )
    return allowed


def phase_network_mode(
    document: Document, table: EnvironmentTable | AgentTable | VerifierTable, *section: str
) -> str | None:
    """The mode that one table asks for; None when it has no wish of its own."""
    mode = table.network_mode
    if mode is not None:
        _choice(document, mode, _NETWORK_MODES, *section, "network_mode")
    if table.allowed_hosts and mode != "allowlist":
        raise document.error(
            *section,
            "allowed_hosts",
            mend="it goes with network_mode = 'allowlist' only; write that, or remove it",
        )
    return mode


def verifier_mode(document: Document, table: VerifierTable) -> str:
    """``shared``, or ``separate`` when that is said or a verifier environment is given."""
    mode = table.environment_mode
    if mode is not None:
        _choice(document, mode, ("shared", "separate"), "verifier", "environment_mode")
    if table.environment is None:
        return mode or "shared"
    if mode == "shared":
        raise document.error(
            "verifier",
            "environment_mode",
            mend="[verifier.environment] says otherwise; keep one of the two",
        )
    return "separate"


def artifacts(document: Document, table: TaskTable) -> tuple[str, ...]:
    """The absolute paths, in their shortest form, that a separate verifier gets a copy of."""
    paths = [entry if isinstance(entry, str) else entry.source for entry in table.artifacts]
    return tuple(_artifact(document, path) for path in paths)


def _artifact(document: Document, path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not path.startswith("/") or not parts or ".." in parts or "\0" in path:
        raise document.error(
            "artifacts", mend=f"{shown(path)}: write absolute paths like '/app/answer.txt'"
        )
    return "/" + "/".join(parts)


def operating_system(
    document: Document, table: EnvironmentTable, section: Section = ENVIRONMENT
) -> str:
    """``linux`` or ``windows``."""
    return _choice(document, table.os.lower(), ("linux", "windows"), *section, "os")


def gpus(document: Document, table: EnvironmentTable, section: Section = ENVIRONMENT) -> int:
    """The number of GPUs."""
    if table.gpus < 0:
        raise document.error(*section, "gpus", mend="write a number of GPUs, or 0 for none")
    return table.gpus


def _choice(document: Document, value: str, choices: tuple[str, ...], *path: str) -> str:
    if value not in choices:
        raise document.error(*path, mend=f"write one of {', '.join(map(repr, choices))}")
    return value
