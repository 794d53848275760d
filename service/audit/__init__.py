"""Who may read a key, who did, and whether that is what the bindings say. Pure: policies and events in, reports out."""
