import pwd
import sys
from pathlib import Path

path = Path("/app/low-stock.txt")
if not path.is_file():
    sys.exit(f"{path} is missing")
found = path.read_text(encoding="utf-8", errors="replace").split()
if found != ["bracket", "latch", "screw"]:
    sys.exit(f"{path} does not hold the items below their minimum: {found[:10]}")
if path.stat().st_uid != pwd.getpwnam("clerk").pw_uid:
    sys.exit(f"{path} does not belong to clerk")
