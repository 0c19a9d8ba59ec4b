"""What pytest's JUnit file does not know by itself: the cause of an error, and the manifest.

pytest writes the file; this rewrites it afterwards, through nothing but the file.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec

from pytest_reseval.outcomes import Outcome
from pytest_reseval.records import Manifest


def enrich(path: Path, manifest: Manifest | None) -> None:
    """Give every infra-error its cause as ``type``, and the suite the manifest as properties."""
    tree = ElementTree.parse(path)
    for case in tree.iter("testcase"):
        told = {
            entry.get("name"): entry.get("value", "")
            for entry in case.iterfind("properties/property")
        }
        if told.get("reseval.outcome") == Outcome.INFRA_ERROR:
            for error in case.iterfind("error"):
                error.set("type", told["reseval.cause"])
    for suite in tree.iter("testsuite"):
        if manifest is not None:
            _add_properties(suite, manifest)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _add_properties(suite: ElementTree.Element, manifest: Manifest) -> None:
    properties = suite.find("properties")
    if properties is None:
        properties = ElementTree.Element("properties")
        suite.insert(0, properties)
    for name, value in msgspec.to_builtins(manifest).items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        ElementTree.SubElement(properties, "property", name=f"reseval.{name}", value=text)
