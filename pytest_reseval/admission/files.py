"""The files of the ledger: how a claim is written, found alive or dead, and removed.

A claim's numbers are the *name* of its file (``queue.Place``); changing its state is a rename. So
no crash can leave a half-written number. Its texts are the file's content, which only displays
read.

- **Alive.** The holder keeps an ``flock(2)`` on its file. The kernel drops it when the holder's
  last descriptor closes, however the holder died; an entry whose lock can be taken is dead, and
  whoever may remove it does. Descriptors are close-on-exec, so programs that the holder starts do
  not keep a claim alive; a child forked without exec would, should its parent be killed.
- **Tickets.** The *length* of the sparse file ``tickets`` is the last number given out: it cannot
  be torn either. Should it be lost, counting goes on after the highest ticket in sight, and only
  the memory of past overtakings is gone.
- **Shared.** Root and ordinary users use one directory (mode 1777). Files are created under fresh
  names only (``O_EXCL``; ``fs.protected_regular`` forbids ``O_CREAT`` on others' files in such
  directories, see the kernel's Documentation/admin-guide/sysctl/fs.rst), get their mode, lock and
  content, and are then renamed into place. Nothing follows a symlink.

Every function takes the descriptor of the directory, and those that write expect the caller to hold
the mutex; all raise OSError.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from io import FileIO
from pathlib import Path

import msgspec

from pytest_reseval.admission.model import Claim, Entry, State
from pytest_reseval.admission.queue import Place

_TICKETS = "tickets"
_UNFINISHED = "unfinished_"
_TEXT_LENGTH = 500
_CONTENT_SIZE = 16 * 1024
_NO_CLAIM = frozenset({errno.ENOENT, errno.ELOOP, errno.EACCES, errno.ENXIO})
"""What opening says of a name that is gone, a symlink, unreadable or a socket: none of ours."""


class _Texts(msgspec.Struct):
    run: str = ""
    label: str = ""
    phase: str = ""


def now() -> float:
    """Seconds on CLOCK_BOOTTIME, which all processes share and nobody sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def open_directory(path: Path) -> int:
    """A descriptor of the ledger's directory, which is made if it is missing."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        try:
            path.mkdir()
        except FileExistsError:
            return os.open(path, flags)
    directory = os.open(path, flags)
    os.fchmod(directory, 0o1777)
    return directory


def names(directory: int) -> list[str]:
    """All names in the directory, ours and others."""
    return os.listdir(directory)


def places(names: Iterable[str]) -> list[Place]:
    """The places among the names of a directory."""
    return [place for place in map(Place.parse, names) if place is not None]


def read_if_alive(directory: int, name: str) -> bytes | None:
    """The content of a claim whose holder lives, else None.

    Too many open files and the like raise OSError: not being able to look is not being dead.
    """
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError as error:
        if error.errno in _NO_CLAIM:
            return None
        raise
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with suppress(OSError):
            return os.read(file, _CONTENT_SIZE)
        return b""
    finally:
        os.close(file)
    return None


def entry(place: Place, content: bytes) -> Entry:
    """What displays show of a claim; texts that cannot be read are empty."""
    try:
        texts = msgspec.json.decode(content, type=_Texts)
    except msgspec.DecodeError:
        texts = _Texts()
    claim = Claim(place.memory, place.cores, _printable(texts.run), _printable(texts.label))
    return Entry(claim, place.state, place.since, _printable(texts.phase), place.pid)


def dead(directory: int) -> frozenset[str]:
    """The names that dead holders left."""
    ours = [
        name
        for name in names(directory)
        if name.startswith(_UNFINISHED) or Place.parse(name) is not None
    ]
    return frozenset(name for name in ours if read_if_alive(directory, name) is None)


def remove_dead(directory: int) -> frozenset[str]:
    """Remove what dead holders left, and answer all dead names: some may not be ours to remove."""
    found = dead(directory)
    for name in found:
        with suppress(OSError):
            os.unlink(name, dir_fd=directory)
    return found


def read(directory: int, name: str) -> bytes:
    """The content of a claim, alive or dead; nothing where it cannot be read."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return b""
    try:
        return os.read(file, _CONTENT_SIZE)
    finally:
        os.close(file)


def last_ticket(directory: int) -> int:
    """The last ticket given out."""
    try:
        counted = os.stat(_TICKETS, dir_fd=directory, follow_symlinks=False).st_size
    except FileNotFoundError:
        counted = 0
    return max([counted, *(place.ticket for place in places(names(directory)))])


def _take_ticket(directory: int) -> int:
    ticket = last_ticket(directory) + 1
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        tickets = os.open(_TICKETS, flags, dir_fd=directory)
    except FileNotFoundError:
        temporary, file = _create(directory, 0o666)
        file.close()
        os.rename(temporary, _TICKETS, src_dir_fd=directory, dst_dir_fd=directory)
        tickets = os.open(_TICKETS, flags, dir_fd=directory)
    try:
        os.ftruncate(tickets, ticket)
    finally:
        os.close(tickets)
    return ticket


def _create(directory: int, mode: int) -> tuple[str, FileIO]:
    name = f"{_UNFINISHED}{secrets.token_hex(8)}"
    file = FileIO(
        name,
        "x+",
        opener=lambda name, flags: os.open(name, flags, 0o600, dir_fd=directory),
    )
    os.fchmod(file.fileno(), mode)
    return name, file


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[
        :_TEXT_LENGTH
    ]


class Seat:
    """This process's own claim in the ledger: the open, locked file, and its place."""

    def __init__(self, directory: int, claim: Claim, state: State) -> None:
        self._claim = claim
        ticket = _take_ticket(directory)
        self.place = Place(state, ticket, claim.memory, claim.cores, now(), os.getpid())
        temporary, self._file = _create(directory, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self.describe(phase="")
            os.rename(temporary, self.place.name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            self._file.close()
            raise

    @property
    def left(self) -> bool:
        """True once the claim was given back."""
        return self._file.closed

    def describe(self, phase: str) -> None:
        """Write the texts for displays; a full disk costs only these texts."""
        claim = self._claim
        texts = _Texts(_printable(claim.run), _printable(claim.label), _printable(phase))
        content = msgspec.json.encode(texts)
        with suppress(OSError):
            os.ftruncate(self._file.fileno(), os.pwrite(self._file.fileno(), content, 0))

    def start(self, directory: int) -> None:
        """Turn from waiting to admitted."""
        admitted = replace(self.place, state="admitted", since=now())
        os.rename(self.place.name, admitted.name, src_dir_fd=directory, dst_dir_fd=directory)
        self.place = admitted

    def leave(self, path: Path) -> None:
        """Give the claim back; harmless when called twice. Needs no mutex: it lowers the sum."""
        if self.left:
            return
        # The lock is the claim. The name is only tidied away; should that fail, others will do it.
        with suppress(OSError):
            directory = open_directory(path)
            try:
                os.unlink(self.place.name, dir_fd=directory)
            finally:
                os.close(directory)
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._file.close()
