"""How a car's words reach the log: whole and at once, or as badly as real feeds do it."""
