"""Exchange accounts: what they hold, what arrives about it, and what to make of that."""
