"""A TLS endpoint as its clients see it: one `handshake`, and the `diagnosis` of what it showed."""
