"""`python -m service.cli` is `keystead`."""

from service.cli import main

main()
