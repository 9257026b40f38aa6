"""Who calls: one file per identity platform, whole. Knows nothing of Mitto, of stores and of other platforms."""
