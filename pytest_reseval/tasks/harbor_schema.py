"""A Harbor task file as typed tables. What its keys mean is settled in ``harbor``.

Every field of the structs is a key of the file, under its own name; a key without a field is
ignored and listed. Types are checked here; ranges and contradictions are not.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pytest_reseval.tasks.model import TaskError
from pytest_reseval.tasks.substitution import UnsetVariable, substitute
from pytest_reseval.tasks.tree import FileFault, read_text


class HealthcheckTable(msgspec.Struct, frozen=True):
    """``[environment.healthcheck]``; times in seconds."""

    command: str
    interval_sec: float = 5.0
    timeout_sec: float = 30.0
    start_period_sec: float = 0.0
    start_interval_sec: float = 5.0
    retries: int = 3


class EnvironmentTable(msgspec.Struct, frozen=True):
    """``[environment]``; ``memory_mb`` and ``storage_mb`` in MiB."""

    build_timeout_sec: float = 600.0
    docker_image: str | None = None
    os: str = "linux"
    cpus: int | float | None = None
    memory_mb: int | None = None
    memory: int | str | None = None
    storage_mb: int | None = None
    storage: int | str | None = None
    gpus: int = 0
    gpu_types: list[str] = []
    tpu: object = None
    mcp_servers: list[object] = []
    env: dict[str, object] = {}
    skills_dir: str | None = None
    healthcheck: HealthcheckTable | None = None
    workdir: str | None = None
    allow_internet: bool | None = None
    network_mode: str | None = None
    allowed_hosts: list[str] = []


class AgentTable(msgspec.Struct, frozen=True):
    """``[agent]``."""

    timeout_sec: float | None = None
    user: int | str | None = None
    network_mode: str | None = None
    allowed_hosts: list[str] = []


class VerifierTable(msgspec.Struct, frozen=True):
    """``[verifier]``."""

    timeout_sec: float = 600.0
    env: dict[str, object] = {}
    user: int | str | None = None
    environment_mode: str | None = None
    environment: EnvironmentTable | None = None
    collect: list[object] = []
    network_mode: str | None = None
    allowed_hosts: list[str] = []


class ArtifactTable(msgspec.Struct, frozen=True):
    """One of ``artifacts`` written as a table."""

    source: str
    destination: str | None = None
    exclude: list[str] = []
    service: str | None = None


class SolutionTable(msgspec.Struct, frozen=True):
    """``[solution]``."""

    env: dict[str, object] = {}


class ResevalTable(msgspec.Struct, frozen=True):
    """``[metadata.reseval]``: what only this plugin reads."""

    host: bool = False


class MetadataTable(msgspec.Struct, frozen=True):
    """``[metadata]``, which is free but for one key."""

    reseval: ResevalTable = ResevalTable()


class TaskTable(msgspec.Struct, frozen=True):
    """The whole file. ``schema_version``, ``version`` and ``task`` are known and change nothing."""

    schema_version: object = None
    version: object = None
    task: object = None
    metadata: MetadataTable = MetadataTable()
    environment: EnvironmentTable = EnvironmentTable()
    agent: AgentTable = AgentTable()
    verifier: VerifierTable = VerifierTable()
    solution: SolutionTable = SolutionTable()
    steps: list[object] = []
    artifacts: list[str | ArtifactTable] = []


_Path = tuple[str, ...]

_FILLED: Mapping[_Path, type[msgspec.Struct]] = {
    ("environment",): EnvironmentTable,
    ("environment", "healthcheck"): HealthcheckTable,
    ("agent",): AgentTable,
    ("verifier",): VerifierTable,
    ("verifier", "environment"): EnvironmentTable,
    ("verifier", "environment", "healthcheck"): HealthcheckTable,
    ("solution",): SolutionTable,
}
"""The tables whose strings may stand for a variable of the caller's environment."""

_TABLES: Mapping[_Path, type[msgspec.Struct]] = {
    (): TaskTable,
    **_FILLED,
    ("metadata", "reseval"): ResevalTable,
}
"""The tables in which a key without a field is ignored and listed."""


@dataclass(frozen=True, slots=True)
class Document:
    """A task file as it is written, before anything is filled in."""

    file: Path
    content: Mapping[str, object]

    @classmethod
    def read(cls, file: Path) -> Document:
        """Parse the file. Raises TaskError with line and column where it is not TOML."""
        try:
            text = read_text(file)
        except FileFault as fault:
            raise cls(file, {}).fault(fault) from None
        if _ENDLESS_KEY.search(text):
            raise TaskError(file, "nesting", None, "a key has too many dotted parts; shorten it")
        try:
            return cls(file, tomllib.loads(text))
        except RecursionError:
            raise TaskError(
                file, "nesting", None, "values are nested too deeply; flatten them"
            ) from None
        except tomllib.TOMLDecodeError as error:
            place, problem = _syntax_error(error, text)
            mend = f"this is not TOML: {problem}; mend it there"
            raise TaskError(file, place, None, mend) from None
        except ValueError:  # more digits than sys.get_int_max_str_digits() allows
            mend = "it has thousands of digits; write a sensible one"
            raise TaskError(file, "a number", None, mend) from None

    def error(self, *path: str, mend: str) -> TaskError:
        """The error to raise for one key, showing its value as it is written."""
        value: object = self.content
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return TaskError(self.file, dotted(path), value, mend)

    def fault(self, fault: FileFault) -> TaskError:
        """The error to raise for a file of the task."""
        return TaskError(self.file, fault.path, fault.value, fault.mend)

    def metadata(self) -> Mapping[str, object]:
        """``[metadata]`` as it is written; call it when ``typed`` has found it to be a table."""
        metadata = self.content.get("metadata", {})
        assert isinstance(metadata, Mapping)
        return metadata

    def ignored_keys(self) -> tuple[str, ...]:
        """The dotted keys that mean nothing to this version."""
        return tuple(dotted(path) for path in self._unknown())

    def _unknown(self) -> Iterator[_Path]:
        for path, struct in _TABLES.items():
            table: object = self.content
            for key in path:
                table = table.get(key) if isinstance(table, Mapping) else None
            if isinstance(table, Mapping):
                yield from ((*path, key) for key in table if key not in struct.__struct_fields__)

    def typed(self, environ: Mapping[str, str]) -> TaskTable:
        """The tables with ``${VAR}`` filled in. Raises TaskError for a value of a wrong type."""
        filled = {
            key: self._filled((key,), value, environ) if (key,) in _FILLED else value
            for key, value in self.content.items()
        }
        try:
            return msgspec.convert(filled, TaskTable)
        except msgspec.ValidationError as error:
            problem, _, place = str(error).partition(" - at `$")
            path = tuple(re.sub(r"\[.*\]", "", place.rstrip("`")).split(".")[1:])
            missing = _MISSING.fullmatch(problem)
            if missing is not None:
                raise self.error(*path, missing[1], mend="is missing; write it") from None
            raise self.error(*path, mend=_type_mend(problem)) from None

    def _filled(self, path: _Path, value: object, environ: Mapping[str, str]) -> object:
        if not isinstance(value, Mapping):
            return value
        struct = _FILLED.get(path)
        fields = value if struct is None else struct.__struct_fields__
        return {
            key: self._filled_entry((*path, key), entry, environ)
            for key, entry in value.items()
            if key in fields
        }

    def _filled_entry(self, path: _Path, value: object, environ: Mapping[str, str]) -> object:
        if isinstance(value, str):
            try:
                return substitute(value, environ)
            except UnsetVariable as unset:
                raise self.error(
                    *path,
                    mend=f"the environment variable {unset.args[0]} is not set; "
                    "set it, or write a default as ${NAME:-default}",
                ) from None
        return self._filled(path, value, environ) if path in _FILLED or path[-1] == "env" else value


def dotted(path: _Path) -> str:
    """A key as one would write it in TOML: parts that are not bare keys are quoted."""
    return ".".join(part if _BARE.fullmatch(part) else json.dumps(part) for part in path)


_BARE = re.compile(r"[A-Za-z0-9_-]+")
_MISSING = re.compile(r"Object missing required field `(.+)`")
_EXPECTED = re.compile(r"Expected `(.+)`, got `(.+)`")

_ENDLESS_KEY = re.compile(
    r"""(?<![\w\\-])
        (?: (?: [\w-]++ | "(?:[^"\\\n]|\\.)*+" | '[^'\n]*+' ) [ \t]*+ \. [ \t]*+ ){64}""",
    re.VERBOSE,
)
"""tomllib takes memory by the square of a key's parts: 200 kB of ``a.a.a`` take tens of GiB."""

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "an array",
    "object": "a table",
}


def _syntax_error(error: tomllib.TOMLDecodeError, text: str) -> tuple[str, str]:
    """Where and what, from the message: the error has no attributes before Python 3.14."""
    problem, _, place = str(error).removesuffix(")").rpartition(" (at ")
    if place == "end of document":
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
        place = f"line {line}, column {column}"
    return place, problem


def _type_mend(problem: str) -> str:
    match = _EXPECTED.fullmatch(problem)
    if match is None:
        return f"{problem[:1].lower()}{problem[1:]}; write a sensible value"
    wanted = [kind for kind in match[1].split(" | ") if kind != "null"]
    if "float" in wanted and "int" in wanted:
        wanted.remove("int")
    names = " or ".join(_KINDS.get(kind, kind) for kind in wanted)
    return f"write {names} here, not {_KINDS.get(match[2], f'a {match[2]}')}"
