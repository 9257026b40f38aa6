"""What is written down: log lines, where they go, and the record of one call. Holds nothing that is secret."""
