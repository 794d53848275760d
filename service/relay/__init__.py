"""The reference consumer: an endpoint that serves its own bundle over TLS or mTLS and follows its rotation.

It is a client of the delivery plane like any other, with one consumer's credentials. Its key stays off the disk.
"""
