"""Values of a task file that are filled in from the caller's environment."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\{([^}:]+)(?::-(.*))?\}", re.DOTALL)


class UnsetVariable(LookupError):
    """A variable that is not set and has no default; args[0] is its name."""


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """``text``, or the variable's value when it is wholly ``${VAR}`` or ``${VAR:-default}``.

    A variable that is set to nothing counts as set, as in Harbor. Raises UnsetVariable.
    """
    reference = _REFERENCE.fullmatch(text)
    if reference is None:
        return text
    name, default = reference.groups()
    value = environ.get(name, default)
    if value is None:
        raise UnsetVariable(name)
    return value
