"""Exactly once: who may send a message, and how often it is tried; then whether it arrived and was used. Knows no caller and no HTTP."""
