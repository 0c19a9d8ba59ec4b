"""What pytest's JUnit file does not know by itself: the cause of an error, and the manifest.

pytest writes the file; this rewrites it afterwards, through nothing but the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec

from pytest_reseval.outcomes import Outcome
from pytest_reseval.printable import printable
from pytest_reseval.records import Manifest

_LONGEST = 500
"""Characters of a message; the text of the error has all of it."""


def enrich(
    path: Path,
    verdicts: Iterable[Mapping[str, Any]],
    manifest: Manifest | None,
    prefix: str | None = None,
) -> None:
    """Give every infra-error its cause as ``type``, and the suite the manifest as properties.

    pytest says of it that the setup failed, which is where plugins report errors; here it says what
    the record says. An error of the teardown stays what it is.

    ``verdicts`` are records as plain builtins. The item of a worker that died has no properties in
    the file, so cases are told apart by their address. ``prefix`` is that of ``--junitprefix``.
    """
    infra_errors = {
        _address(verdict["trial"], prefix): verdict
        for verdict in verdicts
        if verdict["outcome"] == Outcome.INFRA_ERROR
    }
    tree = ElementTree.parse(path)
    for case in tree.iter("testcase"):
        verdict = infra_errors.get((case.get("classname"), case.get("name")))
        if verdict is not None:
            _explain(case, verdict)
    if manifest is not None:
        for suite in tree.iter("testsuite"):
            _add_properties(suite, manifest)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _explain(case: ElementTree.Element, verdict: Mapping[str, Any]) -> None:
    error = case.find("error")
    if error is not None and not error.get("message", "").startswith("failed on teardown"):
        error.set("type", verdict["cause"])
        error.set("message", printable(f"{verdict['cause']}: {verdict['message']}"[:_LONGEST]))


def _address(node_id: str, prefix: str | None) -> tuple[str | None, str | None]:
    """Class name and name that pytest's JUnit file gives a node id."""
    file, _, rest = node_id.partition("::")
    path, bracket, parameters = rest.partition("[")
    *classes, function = path.split("::")
    module = file.replace("/", ".").removesuffix(".py")
    prefixes = [prefix] if prefix else []
    return ".".join([*prefixes, module, *classes]), f"{function}{bracket}{parameters}"


def _add_properties(suite: ElementTree.Element, manifest: Manifest) -> None:
    properties = suite.find("properties")
    if properties is None:
        properties = ElementTree.Element("properties")
        suite.insert(0, properties)
    for name, value in msgspec.to_builtins(manifest).items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        ElementTree.SubElement(
            properties, "property", name=f"reseval.{name}", value=printable(text)
        )
