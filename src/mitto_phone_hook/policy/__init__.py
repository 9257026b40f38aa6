"""Whether a message may be sent: destinations, limits, budgets. Counts in the stores; sends nothing."""
