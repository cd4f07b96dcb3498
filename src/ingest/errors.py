"""What can end a replay or a writer. Each message is one line for the operator: what is wrong, where, what to do."""


class CaptureError(ValueError):
    """A capture that cannot be read at all."""


class WriteError(Exception):
    """Records could not be delivered."""


class WriteInterrupted(Exception):  # noqa: N818 - not an error: the caller asked for it
    """The caller asked to stop while records were waiting for the broker."""
