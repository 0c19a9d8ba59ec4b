import sys
from pathlib import Path

path = Path("/app/primes.txt")
if not path.is_file():
    sys.exit(f"{path} is missing")
found = path.read_text(encoding="utf-8", errors="replace").split()
if found != ["7912199", "139999991"]:
    sys.exit(f"{path} does not hold the count and the largest prime: {found[:10]}")
