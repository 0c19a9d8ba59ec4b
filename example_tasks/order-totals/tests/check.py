import sys
from pathlib import Path

wanted = Path("/tests/expected.csv").read_text()
path = Path("/app/totals.csv")
if not path.is_file():
    sys.exit(f"{path} is missing")
found = path.read_text(encoding="utf-8", errors="replace")
if found.split() != wanted.split():
    sys.exit(f"{path} does not hold the totals")
