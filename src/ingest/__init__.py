"""From captures to records on the input topics: adapters that read formats, and the one writer. Knows no session."""
