#!/bin/sh
set -eu
mkdir -p /app
cp /solution/server.py /app/server.py
rm -f /app/kv.sock
setsid nohup python3 /app/server.py < /dev/null > /app/server.log 2>&1 &
python3 - <<'PYTHON'
import socket
import sys
import time

end = time.monotonic() + 30
while time.monotonic() < end:
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex("/app/kv.sock") == 0:
            sys.exit()
    time.sleep(0.05)
sys.exit("the service does not listen")
PYTHON
