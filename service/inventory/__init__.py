"""The use cases: what people do with certificates, relays and container providers. Here pki and vault meet.

This room knows no web and no terminal; it raises `service.errors.Problem` and nothing else.
"""
