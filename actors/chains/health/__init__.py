"""What keeps a chain from being live, what is done about it, and its word on itself."""
