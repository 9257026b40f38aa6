"""Whether a message may leave: destinations, limits, budgets. Counts through the stores; sends nothing."""
