"""`python -m ringback`: the same command as `ringback`."""

from ringback.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
