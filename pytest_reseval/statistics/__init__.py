"""Intervals, comparisons and trends over tasks and their samples: ``docs/statistics.md``.

Tasks are treated as a sample of the tasks that could have been in the benchmark, and the samples of
one task as correlated. So what counts is how many tasks there are; more samples of the same tasks
help only as far as the noise between samples goes. Outcomes are plain 0 and 1.

``intervals`` and ``multiple`` need the standard library alone; the others need the extra ``study``.
"""
