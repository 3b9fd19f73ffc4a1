"""Balances read at our own tip, and tokens that do not tell them."""
