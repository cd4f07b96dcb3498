"""Other designs on the same work, each a process of its own: what the engine is raced against."""
