"""The console and the admin API. Reads from the index, changes through the inventory; never speaks to Vault itself."""
