"""Runs tests on a kernel with cgroup v2, in a virtual machine: ``python -m tests.virtual_machine``.

What is typed beside the options goes to pytest in the guest, instead of each suite's own tests.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from example_tasks.base_image import BaseImageError
from tests.virtual_machine import disk, machine, payload, recipe, results
from tests.virtual_machine.suites import SUITES

_TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "debootstrap": "debootstrap",
    "mke2fs": "e2fsprogs",
    "setpriv": "util-linux",
}
_RESULTS_BYTES = 256 << 20


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 if all passed, else that of the first suite that did not; 3: no results."""
    options, for_pytest = _parser().parse_known_args(arguments)
    suites = options.suite or [suite.name for suite in SUITES]
    missing = missing_packages()
    if missing:
        print(f"missing here: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 3
    cache = disk.cache_folder()
    folder = options.results or cache / "results" / options.kernel
    try:
        summary = _run(disk.ensure(cache), options.kernel, suites, for_pytest, folder)
    except (
        BaseImageError,
        disk.DiskError,
        payload.PayloadError,
        results.ResultsError,
    ) as error:
        print(error, file=sys.stderr)
        return 3
    print(f"\n{results.table(summary, folder)}\n\nresults  {folder}")
    return results.exit_status(summary, suites)


def missing_packages() -> list[str]:
    """Debian's packages for the tools that are not installed."""
    return [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]


def _run(
    built: disk.Disk, series: str, suites: list[str], for_pytest: list[str], folder: Path
) -> results.Summary:
    folder.mkdir(parents=True, exist_ok=True)
    for suite in suites:
        (folder / f"{suite}.xml").unlink(missing_ok=True)
    kernel, initrd = built.boot_files(series)
    guest = machine.Machine(built.root, kernel, initrd, machine.accelerator())
    # Neither file has a name, so nothing is left of them however this ends.
    with tempfile.TemporaryFile() as brought, tempfile.TemporaryFile() as left:
        payload.pack(brought, suites, for_pytest)
        left.truncate(_RESULTS_BYTES)
        command = machine.command(guest, brought.fileno(), left.fileno())
        machine.run(command, brought, left, folder / "console.txt")
        if guest.accelerator == "tcg" and results.is_blank(left):
            # Kernels patch their own code, and qemu's emulation of several processors now and then
            # runs a half-patched instruction: a panic early in the boot.
            print("the emulated guest did not come up; once more", file=sys.stderr)
            machine.run(command, brought, left, folder / "console.txt")
        return results.unpack(left, folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.virtual_machine", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--kernel", choices=recipe.KERNELS, default=next(iter(recipe.KERNELS)))
    parser.add_argument(
        "--suite",
        action="append",
        choices=[suite.name for suite in SUITES],
        help="a suite to run; can be given several times (default: all)",
    )
    parser.add_argument("--results", type=Path, help="folder for JUnit files and logs")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
