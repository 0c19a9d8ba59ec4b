#!/bin/sh
set -eu
mkdir -p /app/dist /app/build
python3 /app/make_table.py > /app/build/table.py
python3 -c '
import py_compile
py_compile.compile("/app/build/table.py", "/app/dist/table.pyc", doraise=True)
'
