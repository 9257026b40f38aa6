"""Secrets: who may call, how secrets are rotated, and hashes keyed with them. Nothing here is ever printed."""
