"""From a fork of the keeper to the command that runs in the sandbox.

The order matters: the cgroup comes first, so that nothing the command does is uncharged; what needs
privilege comes before it is given up; and no code or library of the sandbox is touched before that,
which is why users are looked up in its files directly and not through NSS.
"""

from __future__ import annotations

import os
import resource
import signal
import stat
from collections.abc import Mapping, Sequence

from . import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


CANNOT_RUN = 126
NOT_FOUND = 127

_PASSWD_LIMIT = 1 << 20
"""Bytes read of /etc/passwd and /etc/group, which belong to the agent."""


class Identity:
    """A user of the sandbox: numeric ids, further groups, and the home directory."""

    def __init__(self, uid: int, gid: int, groups: Sequence[int], home: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = list(groups)
        self.home = home


def find_identity(user: str, passwd: str, group: str) -> Identity:
    """Who ``name``, ``uid``, ``name:group`` or ``uid:gid`` is by the text of the two files.

    A number that the files do not know is taken as it is. Raises LookupError for an unknown name.
    """
    name, _, group_name = user.partition(":")
    entry = _entry(passwd, name, 7)
    if entry is None and not name.isdecimal():
        raise LookupError(f"no user {name!r} in /etc/passwd")
    uid = int(name) if entry is None else int(entry[2])
    gid = 0 if entry is None else int(entry[3])
    default_home = "/" if uid else "/root"
    home = default_home if entry is None else entry[5] or default_home
    groups = [] if entry is None else _memberships(group, entry[0])
    if group_name:
        group_entry = _entry(group, group_name, 4)
        if group_entry is None and not group_name.isdecimal():
            raise LookupError(f"no group {group_name!r} in /etc/group")
        gid = int(group_name) if group_entry is None else int(group_entry[2])
        groups = []
    return Identity(uid, gid, groups, home)


def _entry(table: str, key: str, fields: int) -> list[str] | None:
    column = 2 if key.isdecimal() else 0
    for line in table.splitlines():
        entry = line.split(":")
        if len(entry) == fields and entry[column] == key and entry[2].isdecimal():
            return entry
    return None


def _memberships(group: str, name: str) -> list[int]:
    entries = (line.split(":") for line in group.splitlines())
    return [
        int(entry[2])
        for entry in entries
        if len(entry) == 4 and entry[2].isdecimal() and name in entry[3].split(",")
    ]


def become(
    *,
    command: Sequence[str],
    environment: Mapping[str, str],
    workdir: str,
    user: str,
    cgroup: Sequence[int],
    oom_score_adj: int,
    processes: int | None,
    standard_streams: Sequence[int],
    single_user: bool,
    capabilities: Sequence[int],
) -> NoReturn:
    """Turn the calling process into ``command``; what cannot be done is told on its stderr.

    ``cgroup`` holds open ``cgroup.procs`` files; ``processes`` is a bound for RLIMIT_NPROC, None to
    leave it; ``single_user`` says that the user namespace maps nobody but root; ``capabilities``
    are all that remain, for root too.
    """
    status = CANNOT_RUN
    try:
        os.setsid()
        for number, stream in enumerate(standard_streams):
            os.dup2(stream, number)
        for procs in cgroup:
            os.write(procs, b"0")
        _write("/proc/self/oom_score_adj", str(oom_score_adj))
        if processes is not None:
            resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
        identity = find_identity(user, _read("/etc/passwd"), _read("/etc/group"))
        os.umask(0o022)
        os.makedirs(workdir, exist_ok=True)
        os.chdir(workdir)
        _assume(identity, single_user, capabilities)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _execute(command, {"HOME": identity.home, **environment})
    except FileNotFoundError as error:
        status = NOT_FOUND
        _complain(str(error))
    except (OSError, LookupError, ValueError) as error:
        _complain(str(error))
    finally:
        os._exit(status)


def _assume(identity: Identity, single_user: bool, capabilities: Sequence[int]) -> None:
    syscalls.forbid_tracing()
    syscalls.forbid_new_privileges()
    if single_user:
        if identity.uid != 0 or identity.gid != 0:
            raise LookupError(
                f"user {identity.uid}:{identity.gid} does not exist here: "
                "a sandbox of an ordinary user knows only root"
            )
        syscalls.keep_capabilities(capabilities)
        return
    os.setgroups(identity.groups)
    os.setgid(identity.gid)
    syscalls.keep_capabilities(capabilities)
    os.setuid(identity.uid)


def _execute(command: Sequence[str], environment: Mapping[str, str]) -> None:
    program = command[0]
    if "/" in program:
        os.execve(program, [*command], environment)
    for directory in environment["PATH"].split(":"):
        try:
            os.execve(f"{directory or '.'}/{program}", [*command], environment)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
    raise FileNotFoundError(f"{program}: not found in PATH")


def _read(path: str) -> str:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return ""
        return os.read(handle, _PASSWD_LIMIT).decode("utf-8", "replace")
    finally:
        os.close(handle)


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def _complain(message: str) -> None:
    os.write(2, f"sandbox: {message}\n".encode("utf-8", "replace"))
