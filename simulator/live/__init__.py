"""The fleet whose truth is known, against a running system over Kafka: its topics are all that it knows of it."""
