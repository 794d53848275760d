"""The vault room, against a real OpenBao."""
