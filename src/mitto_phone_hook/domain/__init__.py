"""The values that all rooms use: numbers, messages, outcomes, deadlines. Imports no other room and does no I/O."""
