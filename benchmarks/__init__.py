"""What pytest-reseval costs, measured against the least that could do the same work.

See ``README.md`` in this folder; ``python -m benchmarks`` runs all of them.
"""
