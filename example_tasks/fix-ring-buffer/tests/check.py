import subprocess
import sys
from pathlib import Path

PROBE = """
import sys
sys.path.insert(0, "/app")
from ringbuffer import RingBuffer
ring, model, state = RingBuffer(97), b"", 1
for _ in range(5000):
    state = state * 48271 % 2147483647
    data = bytes([state % 256]) * (state % 60)
    if len(data) <= 97 - len(model):
        ring.write(data)
        model += data
    count = state // 256 % 80
    assert ring.read(count) == model[:count]
    model = model[count:]
    assert len(ring) == len(model)
try:
    ring.write(bytes(98))
except ValueError:
    print("the ring holds")
"""

probe = subprocess.run([sys.executable, "-I", "-c", PROBE], capture_output=True, text=True)
if probe.stdout != "the ring holds\n":
    sys.exit(f"RingBuffer is still wrong: {probe.stderr[-500:]}")
report = Path("/app/report.txt")
if not report.is_file():
    sys.exit(f"{report} is missing")
text = report.read_text(encoding="utf-8", errors="replace")
if "Ran 4 tests" not in text or text.split()[-1:] != ["OK"]:
    sys.exit(f"{report} does not show four passed tests: {text[-500:]}")
