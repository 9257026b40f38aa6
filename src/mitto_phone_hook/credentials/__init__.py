"""Secrets: who may call, how they rotate, and hashes keyed with them. Nothing here is ever printed."""
