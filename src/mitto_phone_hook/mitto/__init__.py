"""Through whom: Mitto's API and the connections to it. The only room that imports httpx besides ``function``; decides nothing."""
