"""The process that may read keys and listens on nothing. It makes what consumers may read equal to the bindings."""
