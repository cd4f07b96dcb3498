"""The system on one machine: an embedded broker, its topics, tokens for development, and the processes of `up`."""
