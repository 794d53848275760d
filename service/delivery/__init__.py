"""The delivery plane: a consumer fetches its own bundle with its own token. Nothing of a bundle is kept or logged here."""
