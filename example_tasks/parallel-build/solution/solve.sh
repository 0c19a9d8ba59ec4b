#!/bin/sh
set -eu
cd /app
python3 build.py
