"""The operator's settings: which there are, how each is read, which contradict each other. The environment is an argument."""
