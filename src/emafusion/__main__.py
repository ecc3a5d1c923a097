"""``python -m emafusion``: the same as the ``emafusion`` command."""

from emafusion.cli import main

if __name__ == "__main__":
    main()
