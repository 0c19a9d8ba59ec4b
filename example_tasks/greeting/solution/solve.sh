#!/bin/sh
set -eu
mkdir -p /app
printf 'Hello, %s!\n' "$GREETING_NAME" > /app/greeting.txt
