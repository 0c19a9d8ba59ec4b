"""Prints the source of a Python module with one big table: ``python3 make_table.py > table.py``."""

ENTRIES = 28_000

print("TABLE = {")
state = 1
for number in range(ENTRIES):
    state = state * 6364136223846793005 % 2**64
    print(f"    'entry-{number}': ({state}, {state >> 32}, 'value {state % 997}'),")
print("}")
