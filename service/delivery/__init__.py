"""The delivery plane: a consumer fetches its own bundle with its own token. Nothing of a bundle is kept or logged here.

This room decides nothing about who may read: each fetch is a read in Vault as the caller. From memory it answers one
thing only, `304 Not Modified`, and only to a token that Vault vouched for a moment ago. It imports no web framework:
five routes are a dictionary, and the bundle's is asked for all day.
"""
