#!/bin/sh
set -eu
mkdir -p /app
python3 /solution/sieve.py
