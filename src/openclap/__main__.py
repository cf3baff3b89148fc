"""`python -m openclap`: the command line."""

from openclap.cli.app import main

main()
