#!/bin/sh
set -eu
python3 /solution/choose.py
