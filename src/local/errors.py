"""What stops an operator. One class, so that the console command can print its one line instead of a traceback."""


class LocalError(Exception):
    """The message is one line: what is wrong, and what to type or change."""
