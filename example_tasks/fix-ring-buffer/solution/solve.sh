#!/bin/sh
set -eu
cd /app
sed -i 's/self._start = self._start + count/self._start = (self._start + count) % capacity/' ringbuffer.py
python3 -m unittest discover -v -s suite > report.txt 2>&1
