"""`python -m bertwright` is the same as `bertwright`."""

from bertwright.cli import main

main()
