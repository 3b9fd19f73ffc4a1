"""How a stream is doing, and what it could not do."""
