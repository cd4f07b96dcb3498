"""A fleet whose truth is known: people, their cars and chargers, what energy costs, and what really happened."""
