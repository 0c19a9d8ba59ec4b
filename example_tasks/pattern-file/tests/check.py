import hashlib
import sys
from pathlib import Path

BLOCKS = 224
BLOCK = 1024 * 1024

digest = hashlib.sha256()
try:
    with open("/app/pattern.bin", "rb", buffering=0) as source:
        for number in range(BLOCKS):
            wanted = hashlib.sha256(str(number).encode()).digest() * (BLOCK // 32)
            if source.read(BLOCK) != wanted:
                sys.exit(f"block {number} of /app/pattern.bin is wrong or missing")
            digest.update(wanted)
        if source.read(1):
            sys.exit("/app/pattern.bin is too long")
    found = Path("/app/pattern.sha256").read_text(encoding="ascii", errors="replace")
except OSError as error:
    sys.exit(str(error))
if found.split()[:1] != [digest.hexdigest()]:
    sys.exit("/app/pattern.sha256 does not hold the digest")
