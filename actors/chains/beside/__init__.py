"""Work beside the heads, which never wait for it."""
