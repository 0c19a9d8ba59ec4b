#!/bin/sh
set -eu
python3 /solution/summarize.py
