"""The program that makes sandboxes and serves them, each in a process of its own.

It stands alone: it imports the standard library and itself, by relative imports, and is started as
a top-level package without site-packages. A start then costs milliseconds, which is also why it
uses ``os`` and not ``pathlib``, and imports ``typing`` for type checkers only.
"""
