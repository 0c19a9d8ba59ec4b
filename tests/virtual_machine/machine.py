"""The virtual machine: qemu's command line, and running it to its end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from tests.virtual_machine.disk import LABEL

Accelerator = Literal["kvm", "tcg"]

ENDS_WITH_US = ("setpriv", "--pdeathsig=KILL")
"""Starts a command that the kernel kills when the process that started it has died."""

_PROCESSOR = ("-cpu", "max,la57=off")
_BARE = ("-nodefaults", "-no-user-config", "-display", "none")


def accelerator() -> Accelerator:
    """``kvm`` if it works here, else ``tcg``: emulation.

    A device that can be opened is not enough, as qemu may fail only when it sets up the processor;
    so a machine that does nothing is made, and told to quit.
    """
    tried = subprocess.run(
        ["qemu-system-x86_64", *_BARE, "-accel", "kvm", *_PROCESSOR, "-S", "-monitor", "stdio"],
        input=b"quit\n",
        capture_output=True,
        check=False,
    )
    return "kvm" if tried.returncode == 0 else "tcg"


@dataclass(frozen=True, slots=True)
class Machine:
    """What the guest is made of."""

    root: Path
    kernel: Path
    initrd: Path
    accelerator: Accelerator
    cores: int = 2
    mebibytes: int = 3072


def command(machine: Machine, payload: int, results: int) -> list[str]:
    """The command that boots the guest; its console is the command's standard output.

    ``payload`` and ``results`` are inherited descriptors of what the guest reads and writes as
    disks. What is written to the root disk goes to a file without a name and ends with the machine,
    and the machine ends with us.
    """
    return [
        *ENDS_WITH_US,
        "qemu-system-x86_64",
        *(*_BARE, "-no-reboot", "-serial", "stdio"),
        *("-accel", machine.accelerator, *_PROCESSOR),
        *("-smp", str(machine.cores), "-m", str(machine.mebibytes)),
        *("-kernel", str(machine.kernel), "-initrd", str(machine.initrd)),
        *("-append", f"root=LABEL={LABEL} rw console=ttyS0 panic=-1 quiet systemd.show_status=no"),
        *("-device", "virtio-rng-pci"),
        *_drive("root", str(machine.root), "snapshot=on"),
        *_drive("payload", f"/proc/self/fd/{payload}", "readonly=on"),
        *_drive("results", f"/proc/self/fd/{results}"),
    ]


def _drive(name: str, file: str, *options: str) -> list[str]:
    drive = ",".join((f"if=none,id={name},format=raw,file={file.replace(',', ',,')}", *options))
    return ["-drive", drive, "-device", f"virtio-blk-pci,drive={name},serial={name}"]


def run(command: Sequence[str], payload: IO[bytes], results: IO[bytes], console: Path) -> int:
    """Run the machine until it is off; its console goes to a file and to our standard output.

    Answers qemu's exit status.
    """
    with (
        console.open("wb") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(payload.fileno(), results.fileno()),
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                log.write(line)
                log.flush()
                sys.stdout.write(line.decode("utf-8", "replace").replace("\r", ""))
                sys.stdout.flush()
        finally:
            process.kill()
    return process.returncode
