import subprocess
import sys
from pathlib import Path

PROBE = """
import sys
sys.path.insert(0, "/app/dist")
from table import TABLE
print(len(TABLE), TABLE["entry-0"], TABLE["entry-27999"])
"""

state = 1
entries = []
for _ in range(28_000):
    state = state * 6364136223846793005 % 2**64
    entries.append((state, state >> 32, f"value {state % 997}"))
wanted = f"{len(entries)} {entries[0]} {entries[-1]}"

if not Path("/app/dist/table.pyc").is_file():
    sys.exit("/app/dist/table.pyc is missing")
if Path("/app/dist/table.py").exists():
    sys.exit("/app/dist holds the source beside the compiled module")
probe = subprocess.run([sys.executable, "-I", "-c", PROBE], capture_output=True, text=True)
if probe.stdout.strip() != wanted:
    sys.exit(f"the table is not the generated one: {probe.stdout[:200]} {probe.stderr[-500:]}")
