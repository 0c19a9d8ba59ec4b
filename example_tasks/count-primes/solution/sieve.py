"""A sieve with one byte for each odd number, held from the first line to the last."""

LIMIT = 140_000_000

sieve = bytearray(b"\x01") * (LIMIT // 2)
sieve[0] = 0
for odd in range(3, int(LIMIT**0.5) + 1, 2):
    if sieve[odd // 2]:
        first = odd * odd // 2
        sieve[first::odd] = bytes(len(range(first, len(sieve), odd)))

with open("/app/primes.txt", "w", encoding="ascii") as file:
    print(sieve.count(1) + 1, 2 * sieve.rindex(1) + 1, sep="\n", file=file)
