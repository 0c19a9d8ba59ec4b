import csv
import gzip
from collections import Counter

with gzip.open("/app/orders.csv.gz", "rt", encoding="ascii", newline="") as source:
    orders = list(csv.DictReader(source))

totals = Counter()
for order in orders:
    totals[order["customer"]] += int(order["cents"])

with open("/app/totals.csv", "w", encoding="ascii") as target:
    for customer in sorted({order["customer"] for order in orders}):
        print(customer, totals[customer], sep=",", file=target)
