"""What is logged: log lines, where they go, and the record of one call. Nothing secret is in it."""
