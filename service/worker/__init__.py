"""The process that may read keys and listens on nothing: reconciling, jobs, notices."""
