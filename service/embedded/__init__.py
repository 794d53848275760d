"""`keystead up`: one machine's OpenBao and the processes beside it, started, set up, watched and stopped.

This room may not serve a request, read a bundle, or keep a root token anywhere but in memory. Everything it stores lies
in one data directory (`data_dir.py`). Nothing of it is needed where Vault or OpenBao is yours: there, `web`, `delivery`
and `worker` run on their own.
"""
