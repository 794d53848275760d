"""The command line: one module a command. It does no work of its own."""
