"""What the chain knows of its balances, and how a change becomes a commit."""
