"""Text from outside made fit to be shown and stored."""

from __future__ import annotations

_LONGEST_SHOWN = 200


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


def shown(value: object) -> str:
    """The value as Python writes it, in one line, cut where a reader would have stopped."""
    try:
        text = printable(repr(value), keep="")
    except ValueError:  # more digits than sys.get_int_max_str_digits() allows
        return "a number of thousands of digits"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
