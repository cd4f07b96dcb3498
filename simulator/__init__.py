"""A simulated fleet: vehicles that live their days and tell of them on the input topics. Knows no session."""
