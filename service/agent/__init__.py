"""The consumer's side: fetch, check, install, report. It reads one bundle, its own."""
