"""Measurements of what the product promises of its speed: each module has a `measure()`."""
