"""Operating faults: what keeps the worker, or a command that reads its topics, from doing its work."""


class WorkerError(RuntimeError):
    """What is wrong, in one line for the operator; no defect of ours, so no traceback."""
