"""Exactly once: who may send a message, and how often it is tried. Knows no caller and no HTTP."""
