import os
import sys
from pathlib import Path

wanted = f"Hello, {os.environ['GREETING_NAME']}!"
path = Path("/app/greeting.txt")
if not path.is_file():
    sys.exit(f"{path} is missing")
found = path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
if found != wanted:
    sys.exit(f"{path} holds {found[:80]!r}, not {wanted!r}")
