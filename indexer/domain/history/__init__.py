"""Blocks that were before us: orders, walking balances back, and telling what is proven."""
