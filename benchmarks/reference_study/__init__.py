"""The reference study: scripted agents under six headrooms, told in ``docs/study.md``."""
