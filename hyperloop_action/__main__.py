"""``python -m hyperloop_action``: the same command as ``hyperloop``."""

from hyperloop_action.cli import main

if __name__ == "__main__":
    main()
