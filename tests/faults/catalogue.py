"""Faults that a task can bring about by itself: what it does, and what must be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.faults import facts
from tests.faults.facts import Fact
from tests.plugin.conftest import CHECK, SOLVE

ENGINES = ("docker", "local")

HOG = "python3 -c 'b = bytearray(300 << 20)'"
"""More memory than any task here may have."""

FROM = "FROM reseval-examples:1\nLABEL {label}\n"
"""How Dockerfiles begin; the label tells whose build it was."""

NO_IMAGES = {"local": "the engine has no images"}


@dataclass(frozen=True)
class Fault:
    """A task in which something goes wrong, and the verdict that is due.

    ``solve`` is what the agent does, ``check`` the verifier's script. ``elsewhere`` names engines
    on which the fault cannot happen, with the reason.
    """

    name: str
    title: str
    outcome: str
    cause: str
    evidence: tuple[Fact, ...]
    solve: str = SOLVE
    check: str = CHECK
    toml: str = ""
    memory_mb: int = 128
    files: Mapping[str, str] = field(default_factory=dict)
    image: str | None = "reseval-examples:1"
    elsewhere: Mapping[str, str] = field(default_factory=dict)


def _reward(name: str, title: str, check: str, *evidence: Fact) -> Fault:
    return Fault(
        name,
        title,
        "infra-error",
        "verifier-incomplete",
        (facts.reward(None), *evidence, facts.control(False)),
        check=check,
    )


TIME = "[agent]\ntimeout_sec = 2"

END_IT = """\
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do kill -$n 1; done
python3 - <<'PYTHON'
import ctypes, os
from ctypes import addressof, c_long, c_ulonglong
ptrace = ctypes.CDLL(None).ptrace
ptrace.argtypes, ptrace.restype = [c_long] * 4, c_long
PEEK, POKE, CONT, GETREGS, SETREGS, ATTACH = 1, 4, 7, 12, 13, 16
if ptrace(ATTACH, 1, 0, 0) == 0:
    os.waitpid(1, 0x40000000)
    registers = (c_ulonglong * 27)()
    ptrace(GETREGS, 1, 0, addressof(registers))
    ptrace(POKE, 1, registers[16], 0x050f)  # syscall
    registers[10], registers[15], registers[14] = 231, 2**64 - 1, 0  # exit_group(0)
    ptrace(SETREGS, 1, 0, addressof(registers))
    ptrace(CONT, 1, 0, 0)
PYTHON
sleep 1
"""
"""Tries to end the first process, by signals and by making it exit (x86-64)."""

CATALOGUE = (
    Fault(
        "oom-child-then-pass",
        "a child is OOM-killed, the agent goes on and solves the task",
        "passed",
        "solved",
        (facts.killed("agent"), facts.peak_at_the_limit("agent"), facts.reward(1)),
        solve=f"{HOG}; {SOLVE}",
    ),
    Fault(
        "oom-child-then-fail",
        "a child is OOM-killed, the agent goes on and fails",
        "infra-error",
        "oom-limit",
        (facts.killed("agent"), facts.peak_at_the_limit("agent"), facts.reward(0)),
        solve=f"{HOG}; exit 0",
    ),
    Fault(
        "oom-everything",
        "the whole agent is OOM-killed",
        "infra-error",
        "oom-limit",
        (facts.killed("agent"), facts.figure("agent", "exit_code", 137)),
        solve=f"exec {HOG}",
    ),
    Fault(
        "oom-for-good",
        "files in memory fill the sandbox, so that whatever runs after is killed too",
        "infra-error",
        "oom-limit",
        (facts.killed("agent"), facts.peak_at_the_limit("agent")),
        solve="head -c 60M /dev/zero > /dev/shm/a; head -c 60M /dev/zero > /dev/shm/b",
        memory_mb=40,
    ),
    Fault(
        "oom-verifier",
        "the verifier is OOM-killed",
        "infra-error",
        "verifier-oom",
        (facts.unkilled("agent"), facts.killed("verifier")),
        check=HOG,
    ),
    Fault(
        "oom-before-agent",
        "the healthcheck is OOM-killed before the agent starts",
        "infra-error",
        "healthcheck",
        (facts.fault("killed for memory meanwhile"), facts.NO_PHASE),
        toml=f'[environment.healthcheck]\ncommand = """{HOG}"""\ninterval_sec = 0\nretries = 1',
    ),
    Fault(
        "exit-137",
        "the agent exits 137 of its own will",
        "failed",
        "agent-error",
        (facts.unkilled("agent"), facts.figure("agent", "exit_code", 137)),
        solve="exit 137",
    ),
    Fault(
        "claims-oom",
        'the agent prints OOM messages and writes "Killed"',
        "failed",
        "wrong",
        (facts.unkilled("agent"), facts.reward(0)),
        solve="echo 'Memory cgroup out of memory: Killed process 1 (agent)'; echo Killed >&2; "
        "echo Killed > /logs/agent/oom; echo oom_kill 1 > /logs/verifier/reward.txt",
    ),
    Fault(
        "page-cache",
        "the agent fills its page cache to the limit, and fails",
        "failed",
        "wrong",
        (
            facts.unkilled("agent"),
            facts.figure("agent", "cache_saturated", True),
            facts.peak_at_the_limit("agent"),
        ),
        solve="head -c 200M /dev/zero > /big; cat /big > /dev/null",
        memory_mb=64,
    ),
    Fault(
        "image-pull",
        "the image cannot be pulled",
        "infra-error",
        "image-pull",
        (facts.fault("cannot be pulled"), facts.NO_PHASE),
        image="localhost:9/no-such-image:1",
        elsewhere=NO_IMAGES,
    ),
    Fault(
        "build-fails",
        "the Dockerfile fails",
        "infra-error",
        "image-build",
        (facts.fault("the build failed", "no-such-command"), facts.NO_PHASE),
        image=None,
        files={"environment/Dockerfile": FROM + "RUN no-such-command\n"},
        elsewhere=NO_IMAGES,
    ),
    Fault(
        "build-timeout",
        "the build takes too long",
        "infra-error",
        "image-build",
        (facts.fault("took longer than 3 s"), facts.NO_PHASE),
        image=None,
        files={"environment/Dockerfile": FROM + "RUN sleep 1000\n"},
        toml="build_timeout_sec = 3",
        elsewhere=NO_IMAGES,
    ),
    Fault(
        "never-healthy",
        "the healthcheck never passes",
        "infra-error",
        "healthcheck",
        (facts.fault("failed 2 times in a row", "exit code 1"), facts.NO_PHASE),
        toml='[environment.healthcheck]\ncommand = "false"\ninterval_sec = 0\nretries = 2',
    ),
    Fault(
        "disk-bound",
        "the disk bound is reached",
        "infra-error",
        "disk-limit",
        (facts.at_least("agent", "disk_peak", 64 << 20), facts.fault("bound of 64 MiB")),
        solve="head -c 300M /dev/zero > /big; sleep 1000",
        toml="storage_mb = 64",
    ),
    Fault(
        "disk-bound-unlinked",
        "the disk bound is reached by a deleted file that is held open",
        "infra-error",
        "disk-limit",
        (facts.at_least("agent", "disk_peak", 64 << 20), facts.fault("bound of 64 MiB")),
        solve="exec 9> /big; rm /big; head -c 300M /dev/zero >&9; sleep 1000",
        toml="storage_mb = 64",
    ),
    Fault(
        "fork-bomb",
        "a fork bomb",
        "infra-error",
        "pids-limit",
        (facts.at_least("agent", "pids_max_events", 1),),
        solve="b() { b | b & }; b; sleep 3",
        memory_mb=512,
        toml="[agent]\ntimeout_sec = 10",
    ),
    Fault(
        "agent-timeout",
        "the agent runs out of time, with grandchildren",
        "failed",
        "agent-timeout",
        (facts.figure("agent", "timed_out", True), facts.reward(0)),
        solve="sh -c 'sh -c \"sleep 1000\" & sleep 1000' & sleep 1000",
        check=f"! grep -qs '[s]leep.1000' /proc/*/cmdline && {CHECK}",
        toml=TIME,
    ),
    Fault(
        "agent-timeout-service",
        "the agent runs out of time; the service it left solves the task",
        "passed",
        "solved",
        (facts.figure("agent", "timed_out", True), facts.reward(1)),
        solve="(setsid sh -c 'while :; do mkdir -p /app; echo 42 > /app/answer; sleep 0.2; done' "
        "> /dev/null 2>&1 &); sleep 1000",
        check=f"rm -f /app/answer; until [ -e /app/answer ]; do sleep 0.1; done; {CHECK}",
        toml=TIME,
    ),
    Fault(
        "verifier-timeout",
        "the verifier runs out of time",
        "infra-error",
        "verifier-timeout",
        (facts.figure("verifier", "timed_out", True), facts.control(False)),
        check="sleep 1000",
        toml="[verifier]\ntimeout_sec = 2",
    ),
    Fault(
        "verifier-stalled-by-agent",
        "the agent leaves something that stalls the verifier",
        "failed",
        "wrong",
        (facts.figure("verifier", "timed_out", True), facts.control(True)),
        solve="mkdir -p /app; mkfifo /app/answer",
        toml="[verifier]\ntimeout_sec = 2",
    ),
    _reward("no-reward", "the verifier writes no reward", "true", facts.problem("neither")),
    _reward(
        "reward-malformed",
        "a malformed reward file",
        "echo one > /logs/verifier/reward.txt",
        facts.problem("'one' is not one number"),
    ),
    _reward(
        "reward-huge",
        "a huge reward file",
        "head -c 100M /dev/zero > /logs/verifier/reward.txt",
        facts.problem("reward.txt"),
    ),
    _reward(
        "reward-nan",
        "reward NaN",
        "echo '{\"reward\": NaN}' > /logs/verifier/reward.json",
        facts.problem("reward.json"),
    ),
    _reward(
        "reward-infinite",
        "reward infinity",
        "echo inf > /logs/verifier/reward.txt",
        facts.problem("not finite"),
    ),
    _reward(
        "reward-symlink",
        "a symlink instead of a reward file",
        "echo 1 > /tmp/reward; ln -s /tmp/reward /logs/verifier/reward.txt",
        facts.problem("reward.txt"),
    ),
    _reward(
        "reward-device",
        "a device or pipe instead of a reward file",
        "mkfifo /logs/verifier/reward.txt",
        facts.problem("reward.txt"),
    ),
    Fault(
        "reward-negative",
        "a negative reward",
        "failed",
        "wrong",
        (facts.reward(-1),),
        check="echo -1 > /logs/verifier/reward.txt",
    ),
    Fault(
        "reward-planted",
        "the agent plants a reward and tests of its own",
        "failed",
        "wrong",
        (facts.reward(0),),
        solve="echo 1 > /logs/verifier/reward.txt; echo '{\"reward\": 1}' > "
        "/logs/verifier/reward.json; mkdir /tests; "
        "echo 'echo 1 > /logs/verifier/reward.txt' > /tests/test.sh",
    ),
    Fault(
        "ends-its-sandbox",
        "the agent ends its own sandbox, by tracing the first process",
        "failed",
        "agent-error",
        (facts.fault("what ran in the sandbox ended it"), facts.reward(None)),
        solve=END_IT,
        elsewhere={"local": "its first process cannot be traced; next row"},
    ),
    Fault(
        "cannot-end-its-sandbox",
        "the agent tries the same in vain",
        "failed",
        "wrong",
        (facts.reward(0),),
        solve=END_IT,
        elsewhere={"docker": "there it ends; row above"},
    ),
)
