"""What root may still do in a sandbox, on every engine: the capabilities that tasks need.

Fewer than Docker's default: raw sockets can spoof neighbours, and a device node is a way out.
"""

from __future__ import annotations

from types import MappingProxyType

CAPABILITIES = MappingProxyType(
    {
        "CHOWN": 0,  # package managers hand files to their owners
        "DAC_OVERRIDE": 1,  # root works in directories of other users
        "FOWNER": 3,
        "FSETID": 4,
        "KILL": 5,  # services are stopped across users
        "SETGID": 6,  # services and package managers become other users
        "SETUID": 7,
        "SETPCAP": 8,  # lets a process give up more
        "NET_BIND_SERVICE": 10,  # servers on ports below 1024
        "SYS_CHROOT": 18,  # sshd and package managers
        "AUDIT_WRITE": 29,  # sshd, su and cron log in by PAM
        "SETFCAP": 31,  # packages whose files carry capabilities
    }
)
"""Names as capabilities(7) has them, without CAP_, and their numbers."""
