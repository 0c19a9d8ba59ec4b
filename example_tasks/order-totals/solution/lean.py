import csv
import gzip
from collections import Counter

totals = Counter()
with gzip.open("/app/orders.csv.gz", "rt", encoding="ascii", newline="") as source:
    for order in csv.DictReader(source):
        totals[order["customer"]] += int(order["cents"])

with open("/app/totals.csv", "w", encoding="ascii") as target:
    for customer, cents in sorted(totals.items()):
        print(customer, cents, sep=",", file=target)
