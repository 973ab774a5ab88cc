"""`python -m restante`: the `restante` command."""

from tui.cli import main

if __name__ == "__main__":
    main()
