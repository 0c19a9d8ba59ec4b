import json
import sys
from pathlib import Path

wanted = json.loads(Path("/tests/expected.json").read_text())
path = Path("/app/summary.json")
if not path.is_file():
    sys.exit(f"{path} is missing")
try:
    found = json.loads(path.read_bytes())
except ValueError as error:
    sys.exit(f"{path} is not JSON: {error}")
if not isinstance(found, dict):
    sys.exit(f"{path} holds no JSON object")
for key, value in wanted.items():
    if found.get(key) != value:
        sys.exit(f"{path}: {key} is wrong or missing")
