"""What holds for all tests."""

from hypothesis import settings

# How long an example takes says something about the machine, and nothing about what is tested.
settings.register_profile("any time", settings(), deadline=None)
settings.load_profile("any time")
