"""What is talked about: numbers, messages, outcomes, deadlines. Values only; imports no other room and does no I/O."""
