"""What each command does: one function a command, called by ``cli.py`` with a :class:`Call`."""
