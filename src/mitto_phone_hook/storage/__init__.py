"""Where duplicates and limits are kept: two protocols, each in memory and in Redis. Knows no rule of ours."""
