"""Who sends: Mitto's API and the connections to it. Only this room and ``function`` import httpx. It decides nothing."""
