"""Every mistake is one error that names the file, the key, the value and the mend."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_reseval.tasks import load_task
from pytest_reseval.tasks.model import TaskError

MakeTask = Callable[..., Path]

MEMORY = "such as '512M' or '2G'"
SECONDS = "seconds above 0 and at most 604800 (a week)"
CORES = "cores between 0.01 and 4096"
MIBS = "number of MiB from 1 to"


def environment(text: str) -> str:
    return f"[environment]\n{text}"


VALUES = [
    (environment("cpus = 0"), "environment.cpus", "0", CORES),
    (environment("cpus = -1"), "environment.cpus", "-1", CORES),
    (environment("cpus = 5000"), "environment.cpus", "5000", CORES),
    (environment("cpus = nan"), "environment.cpus", "nan", CORES),
    (environment("cpus = inf"), "environment.cpus", "inf", CORES),
    (environment("cpus = 1" + "0" * 400), "environment.cpus", "1000", CORES),
    (environment("cpus = 0x" + "f" * 9000), "environment.cpus", "thousands of digits", CORES),
    (environment("cpus = true"), "environment.cpus", "True", "write a number here, not true or"),
    (environment("cpus = '2'"), "environment.cpus", "'2'", "write a number here, not a string"),
    (environment("cpus = 2024-01-01"), "environment.cpus", "2024", "number here, not a date"),
    (environment("memory = 2048"), "environment.memory", "2048", "memory_mb in MiB"),
    (environment("memory = true"), "environment.memory", "True", "a string here, not true or"),
    (environment("memory = 'lots'"), "environment.memory", "'lots'", MEMORY),
    (environment("memory = ''"), "environment.memory", "''", MEMORY),
    (environment("memory = '-2G'"), "environment.memory", "'-2G'", MEMORY),
    (environment("memory = '0G'"), "environment.memory", "'0G'", MEMORY),
    (environment("memory = '9999999T'"), "environment.memory", "'9999999T'", MEMORY),
    (environment(f"memory = '{'9' * 999}G'"), "environment.memory", "'9999", MEMORY),
    (environment("memory = '16M'"), "environment.memory", "'16M'", "write at least 32 MiB"),
    (environment("memory = '2048'"), "environment.memory", "'2048'", "write at least 32 MiB"),
    (environment("memory_mb = 31"), "environment.memory_mb", "31", "write at least 32 MiB"),
    (environment("memory_mb = 0"), "environment.memory_mb", "0", MIBS),
    (environment("memory_mb = -512"), "environment.memory_mb", "-512", MIBS),
    (environment(f"memory_mb = {2**31}"), "environment.memory_mb", "2147483648", MIBS),
    (environment("memory_mb = 0x" + "f" * 9000), "environment.memory_mb", "thousands", MIBS),
    (environment("memory_mb = nan"), "environment.memory_mb", "nan", "a whole number here, not"),
    (environment("memory_mb = 512.5"), "environment.memory_mb", "512.5", "a whole number here"),
    (environment("memory_mb = '2G'"), "environment.memory_mb", "'2G'", "a whole number here"),
    (
        environment("memory = '2G'\nmemory_mb = 4096"),
        "environment.memory",
        "'2G'",
        "memory_mb = 4096 says otherwise; keep one of the two",
    ),
    (environment("storage = '10X'"), "environment.storage", "'10X'", MEMORY),
    (environment("storage_mb = -1"), "environment.storage_mb", "-1", MIBS),
    (
        environment("storage = '10G'\nstorage_mb = 1"),
        "environment.storage",
        "'10G'",
        "storage_mb = 1 says otherwise",
    ),
    (environment("gpus = -1"), "environment.gpus", "-1", "or 0 for none"),
    (environment("gpu_types = [1]"), "environment.gpu_types", "[1]", "a string here"),
    (environment("gpu_types = 'H100'"), "environment.gpu_types", "'H100'", "an array here"),
    (environment("os = 'plan9'"), "environment.os", "'plan9'", "'linux', 'windows'"),
    (environment("docker_image = 3"), "environment.docker_image", "3", "a string here"),
    (environment("docker_image = 'a b'"), "environment.docker_image", "'a b'", "without blanks"),
    (environment("workdir = 'app'"), "environment.workdir", "'app'", "an absolute path"),
    (environment("env = 3"), "environment.env", "3", "a table here, not a whole number"),
    (environment("env.PORT = 8080"), "environment.env.PORT", "8080", "a string, in quotes"),
    (environment('env.A = "a\\u0000"'), "environment.env.A", "'a\\x00'", "without NUL"),
    (environment("env.'A=B' = ''"), 'environment.env."A=B"', "''", "another name"),
    (environment("env.'' = 'x'"), 'environment.env.""', "'x'", "another name"),
    (
        environment("env.TOKEN = '${NOT_SET}'"),
        "environment.env.TOKEN",
        "'${NOT_SET}'",
        "the environment variable NOT_SET is not set",
    ),
    (
        environment("docker_image = '${NOT_SET}'"),
        "environment.docker_image",
        "'${NOT_SET}'",
        "the environment variable NOT_SET is not set",
    ),
    (environment("allow_internet = 'no'"), "environment.allow_internet", "'no'", "true or false"),
    (environment("network_mode = 'some'"), "environment.network_mode", "'some'", "'no-network'"),
    (
        environment("network_mode = 'public'\nallow_internet = false"),
        "environment.allow_internet",
        "False",
        "network_mode = 'public' says otherwise",
    ),
    (
        environment("network_mode = 'allowlist'\nallow_internet = true"),
        "environment.allow_internet",
        "True",
        "network_mode = 'allowlist' says otherwise",
    ),
    (
        environment("allowed_hosts = ['example.com']"),
        "environment.allowed_hosts",
        "['example.com']",
        "network_mode = 'allowlist' only",
    ),
    ("[agent]\nnetwork_mode = 'x'", "agent.network_mode", "'x'", "'public'"),
    ("[verifier]\nallowed_hosts = ['x']", "verifier.allowed_hosts", "['x']", "'allowlist' only"),
    (environment("build_timeout_sec = 0"), "environment.build_timeout_sec", "0", SECONDS),
    ("[agent]\ntimeout_sec = -5", "agent.timeout_sec", "-5", SECONDS),
    ("[agent]\ntimeout_sec = nan", "agent.timeout_sec", "nan", SECONDS),
    ("[agent]\ntimeout_sec = inf", "agent.timeout_sec", "inf", SECONDS),
    ("[agent]\ntimeout_sec = 604801", "agent.timeout_sec", "604801", SECONDS),
    ("[agent]\ntimeout_sec = true", "agent.timeout_sec", "True", "a number here, not true or"),
    ("[agent]\ntimeout_sec = 1" + "0" * 400, "agent.timeout_sec", "1000", "number out of range"),
    ("[verifier]\ntimeout_sec = '900'", "verifier.timeout_sec", "'900'", "a number here"),
    ("[verifier]\ntimeout_sec = 0", "verifier.timeout_sec", "0", SECONDS),
    ("[agent]\nuser = -1", "agent.user", "-1", "the name or the number of a user"),
    ("[agent]\nuser = 0x" + "f" * 9000, "agent.user", "thousands", "number of a user"),
    ("[agent]\nuser = 'a b'", "agent.user", "'a b'", "the name or the number of a user"),
    ("[verifier]\nuser = 1.5", "verifier.user", "1.5", "a whole number or a string here"),
    ("[verifier.env]\nA = false", "verifier.env.A", "False", "a string, in quotes"),
    ("[solution]\nenv.A = 1", "solution.env.A", "1", "a string, in quotes"),
    ("[verifier]\nenvironment_mode = 'x'", "verifier.environment_mode", "'x'", "'separate'"),
    (
        "[verifier]\nenvironment_mode = 'shared'\n[verifier.environment]\ncpus = 1",
        "verifier.environment_mode",
        "'shared'",
        "[verifier.environment] says otherwise",
    ),
    ("[verifier]\ncollect = 'x'", "verifier.collect", "'x'", "an array here"),
    ("steps = 3", "steps", "3", "an array here, not a whole number"),
    ("environment = 3", "environment", "3", "a table here, not a whole number"),
    ("agent = []", "agent", "[]", "a table here, not an array"),
    ("metadata = 'x'", "metadata", "'x'", "a table here, not a string"),
    ("[metadata]\nreseval = true", "metadata.reseval", "True", "a table here, not true or"),
    ("[metadata]\nreseval.host = 1", "metadata.reseval.host", "1", "true or false here"),
    ("[metadata]\nreseval.host = 'yes'", "metadata.reseval.host", "'yes'", "true or false here"),
]

HEALTH = "environment.healthcheck"
HEALTHCHECKS = [
    ("interval_sec = 1", f"{HEALTH}.command", None, "is missing"),
    ("command = ' '", f"{HEALTH}.command", "' '", "a shell command"),
    ("command = ['true']", f"{HEALTH}.command", "['true']", "a string here, not an array"),
    ("command = 'x'\nretries = 0", f"{HEALTH}.retries", "0", "at least 1"),
    ("command = 'x'\nretries = 1.5", f"{HEALTH}.retries", "1.5", "a whole number here"),
    ("command = 'x'\ntimeout_sec = 0", f"{HEALTH}.timeout_sec", "0", SECONDS),
    ("command = 'x'\ninterval_sec = -1", f"{HEALTH}.interval_sec", "-1", SECONDS),
    ("command = 'x'\nstart_period_sec = nan", f"{HEALTH}.start_period_sec", "nan", SECONDS),
    ("command = 'x'\nstart_interval_sec = inf", f"{HEALTH}.start_interval_sec", "inf", SECONDS),
]

SYNTAX = [
    ("a = 1\nb = [1, 2", "line 2, column 10", "this is not TOML"),
    ("[environment]\ncpus = \n", "line 2, column 8", "Invalid value"),
    ("a = 1\na = 2", "line 2, column 6", "this is not TOML"),
    ("a = 1" + "0" * 5000, "a number", "thousands of digits"),
    ("a = " + "[" * 20000, "nesting", "too deeply"),
    ("a" + ".a" * 20000 + " = 1", "nesting", "too many dotted parts"),
    ('"a"' + '."a"' * 20000 + " = 1", "nesting", "too many dotted parts"),
    (r'"\""' + r'."\""' * 20000 + " = 1", "nesting", "too many dotted parts"),
    (b"a = '\xff'", "task.toml", "byte 5 is not UTF-8"),
    ("# " + "x" * 1024 * 1024, "task.toml", "larger than 1048576 bytes"),
]


def mistake(file: Path, *, key: str, value: str | None, mend: str) -> TaskError:
    """The error of loading the file, found to name all that its author needs."""
    with pytest.raises(TaskError) as caught:
        load_task(file, {})
    error = caught.value
    message = str(error)
    assert message.startswith(f"{file}: {key}")
    assert error.file == file
    assert error.key == key
    assert mend in error.mend
    assert error.mend in message
    assert message.isprintable()
    assert len(message) < 1000
    if value is None:
        assert error.value is None
        assert f": {key}: {error.mend}" in message
    else:
        assert f"{key} = " in message
        assert value in message
    return error


@pytest.mark.parametrize(
    ("toml", "key", "value", "mend"),
    [pytest.param(*case, id=f"{number}-{case[1]}") for number, case in enumerate(VALUES)],
)
def test_values(make_task: MakeTask, toml: str, key: str, value: str, mend: str) -> None:
    mistake(make_task(toml), key=key, value=value, mend=mend)


@pytest.mark.parametrize(("toml", "key", "value", "mend"), HEALTHCHECKS)
def test_healthchecks(
    make_task: MakeTask, toml: str, key: str, value: str | None, mend: str
) -> None:
    file = make_task(f"[environment.healthcheck]\n{toml}")
    mistake(file, key=key, value=value, mend=mend)


@pytest.mark.parametrize(
    ("content", "place", "mend"),
    [pytest.param(*case, id=str(number)) for number, case in enumerate(SYNTAX)],
)
def test_syntax(make_task: MakeTask, content: str | bytes, place: str, mend: str) -> None:
    mistake(make_task(content), key=place, value=None, mend=mend)


def test_a_value_filled_in_is_not_told(make_task: MakeTask) -> None:
    file = make_task(environment("memory = '${SECRET}'"))
    with pytest.raises(TaskError) as caught:
        load_task(file, {"SECRET": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "'${SECRET}'" in str(caught.value)


@pytest.mark.parametrize(
    ("files", "key", "mend"),
    [
        ({"instruction.md": None}, "instruction.md", "there is no such file"),
        ({"instruction.md": " \n\t\n"}, "instruction.md", "it is blank"),
        ({"instruction.md": "# canary\n"}, "instruction.md", "it is blank"),
        ({"instruction.md": "x" * (1024 * 1024 + 1)}, "instruction.md", "larger than"),
        ({"tests/test.sh": None}, "tests/test.sh", "there is no such file"),
        ({"environment/Dockerfile": None}, "environment.docker_image", "has no environment"),
    ],
)
def test_missing_and_bad_files(
    make_task: MakeTask, files: dict[str, str | None], key: str, mend: str
) -> None:
    mistake(make_task("", files), key=key, value=None, mend=mend)


def test_an_instruction_that_is_not_text(make_task: MakeTask) -> None:
    file = make_task("")
    (file.parent / "instruction.md").write_bytes(b"caf\xe9")
    mistake(file, key="instruction.md", value=None, mend="byte 3 is not UTF-8")


def test_a_directory_as_a_file(make_task: MakeTask) -> None:
    file = make_task("", {"instruction.md": None})
    (file.parent / "instruction.md").mkdir()
    mistake(file, key="instruction.md", value=None, mend="Is a directory")
    file.unlink()
    file.mkdir()
    mistake(file, key="task.toml", value=None, mend="Is a directory")


def test_a_task_file_that_is_gone(tmp_path: Path) -> None:
    mistake(tmp_path / "task.toml", key="task.toml", value=None, mend="there is no such file")
    gone = tmp_path / "gone" / "task.toml"
    mistake(gone, key="task.toml", value=None, mend="there is no such file")


@pytest.mark.parametrize(
    ("link", "target", "mend"),
    [
        ("environment/host", "/etc", "absolute"),
        ("environment/self", "{directory}/instruction.md", "absolute"),
        ("tests/data/up", "../../../outside", "leads out"),
        ("notes", "../outside", "leads out"),
        ("notes", "nowhere", "leads nowhere"),
        ("notes", "notes", "leads nowhere"),
    ],
)
def test_links(make_task: MakeTask, tmp_path: Path, link: str, target: str, mend: str) -> None:
    file = make_task("")
    (tmp_path / "outside").write_text("of the task")
    path = file.parent / link
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(target.format(directory=file.parent))
    mistake(file, key=link, value=os.readlink(path), mend=mend)  # noqa: PTH115


def test_a_link_out_by_way_of_another_link(make_task: MakeTask, tmp_path: Path) -> None:
    file = make_task("")
    (tmp_path / "outside").mkdir()
    (file.parent / "a").symlink_to("b")
    (file.parent / "b").symlink_to("../outside")
    mistake(file, key="a", value="'b'", mend="leads out")


def test_a_script_that_its_copy_would_lose(make_task: MakeTask) -> None:
    file = make_task("", {"tests/test.sh": None, "tests/x": "", "shared/test.sh": "true"})
    (file.parent / "tests" / "test.sh").symlink_to("../shared/test.sh")
    mistake(file, key="tests/test.sh", value=None, mend="there is no such file")


def test_pipes_are_refused_and_not_waited_for(make_task: MakeTask) -> None:
    file = make_task("")
    pipe = file.parent / "tests" / "pipe"
    os.mkfifo(pipe)
    mistake(file, key="tests/pipe", value=None, mend="it is a named pipe; remove it")
    pipe.unlink()
    file.unlink()
    os.mkfifo(file)
    mistake(file, key="task.toml", value=None, mend="it is a named pipe")


def test_sockets_are_refused(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    file = make_task("")
    monkeypatch.chdir(file.parent)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        mistake(file, key="s", value=None, mend="it is a socket; remove it")


def test_a_device_as_the_task_file(make_task: MakeTask) -> None:
    file = make_task("")
    file.unlink()
    file.symlink_to("/dev/zero")
    mistake(file, key="task.toml", value=None, mend="it is a device")


def test_odd_names_are_told_in_printable_characters(make_task: MakeTask) -> None:
    file = make_task("")
    (file.parent / os.fsdecode(b"\xffred\x1b[31m\n")).symlink_to("/etc")
    with pytest.raises(TaskError) as caught:
        load_task(file, {})
    assert str(caught.value).isprintable()
    assert "\\udcffred\\x1b[31m\\n = '/etc'" in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(make_task: MakeTask) -> None:
    file = make_task("", {"tests/locked/x": ""})
    locked = file.parent / "tests" / "locked"
    locked.chmod(0)
    mistake(file, key="tests/locked", value=None, mend="Permission denied")
    locked.chmod(0o755)
    (file.parent / "instruction.md").chmod(0)
    mistake(file, key="instruction.md", value=None, mend="Permission denied")
    shutil.rmtree(file.parent)
