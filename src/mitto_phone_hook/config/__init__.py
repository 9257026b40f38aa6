"""The operator's settings: what there is, how each is read, what contradicts. The environment is an argument."""
