"""Facts and findings about keys and certificates. Pure: bytes and times in, facts and findings out.

This room opens no file, no socket and no Vault, reads no clock (`now` is an argument) and logs nothing.
"""
