from __future__ import annotations

import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[3]
VENDOR = ROOT / "pytest_reseval" / "reports" / "page" / "vendor"


def test_it_is_the_file_that_the_documentation_names() -> None:
    script = (VENDOR / "plotly-basic.min.js").read_bytes()
    named = (ROOT / "docs" / "dependencies.md").read_text()
    assert hashlib.sha256(script).hexdigest() in named
    assert b"plotly.js (basic - minified) v4.1.1" in script[:200]
    assert "plotly.js 4.1.1" in named


def test_its_licence_is_beside_it() -> None:
    assert "MIT" in (VENDOR / "LICENSE-plotly").read_text()
