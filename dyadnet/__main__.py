"""``python -m dyadnet``: the command line where the environment's programs are not on PATH, as in notebooks."""

from dyadnet.cli.main import main

if __name__ == "__main__":
    main()
