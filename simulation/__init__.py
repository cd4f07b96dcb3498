"""The simulated world drives the session logic within the process: no Kafka, a virtual clock, crashes between steps."""
