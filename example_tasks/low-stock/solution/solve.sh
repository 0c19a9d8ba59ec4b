#!/bin/sh
set -eu
awk -F, 'NR > 1 && $2 < $3 { print $1 }' /srv/stock.csv | sort > /app/low-stock.txt
