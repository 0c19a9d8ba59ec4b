from __future__ import annotations

import pytest

from pytest_reseval.tasks.substitution import UnsetVariable, substitute

ENVIRON = {"NAME": "value", "EMPTY": "", "NESTED": "${NAME}"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${NAME}", "value"),
        ("${NAME:-default}", "value"),
        ("${OTHER:-default}", "default"),
        ("${OTHER:-}", ""),
        ("${OTHER:-two\nlines}", "two\nlines"),
        ("${OTHER:-${NAME}}", "${NAME}"),
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", ""),
        ("${NESTED}", "${NAME}"),
        ("", ""),
        ("plain", "plain"),
        ("$NAME", "$NAME"),
        ("a ${NAME}", "a ${NAME}"),
        ("${NAME} ", "${NAME} "),
        ("${}", "${}"),
        ("${NAME", "${NAME"),
    ],
)
def test_substitute(text: str, result: str) -> None:
    assert substitute(text, ENVIRON) == result


def test_an_unset_variable_is_named() -> None:
    with pytest.raises(UnsetVariable) as caught:
        substitute("${OTHER}", ENVIRON)
    assert caught.value.args == ("OTHER",)
