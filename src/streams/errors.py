"""Operating faults: what keeps the worker, or a command that reads its topics, from doing its work."""


class WorkerError(RuntimeError):
    """What is wrong, in one line for the operator; no defect of ours, so no traceback."""


class AbortedError(RuntimeError):
    """The transaction failed and is undone: nobody saw anything of it. The client must be let go.

    A client that goes on after an abort may lose what it writes next: librdkafka (2.16) gives the sequence numbers of
    records that it gave up to the next ones, and where the broker had got those, it takes the next ones for copies.
    """
