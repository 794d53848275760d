"""The consumer's side: fetch, check, install, report. It reads one bundle, its own.

It never installs what its own checks say would break, and never replaces a version by an older one. Its credentials and
what it installed are on its disk; its token is in memory only.
"""
