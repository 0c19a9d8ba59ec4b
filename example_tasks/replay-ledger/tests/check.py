import hashlib
import sys
from pathlib import Path

path = Path("/app/balances.txt")
if not path.is_file():
    sys.exit(f"{path} is missing")
found = hashlib.sha256(path.read_bytes()[: 10 * 1024 * 1024]).hexdigest()
if found != Path("/tests/expected.sha256").read_text().strip():
    sys.exit(f"{path} does not hold the right balances")
