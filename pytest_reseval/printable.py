"""Text from outside made fit to be shown and stored."""

from __future__ import annotations


def printable(text: str, keep: str = "\n\t") -> str:
    """The text with all that is neither printable nor in ``keep`` written as escapes.

    So it can neither move a terminal's cursor nor change its colours, reads in the order in which
    it is stored, and can be written in UTF-8 and in XML whatever bytes it came from.
    """
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
