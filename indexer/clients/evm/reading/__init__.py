"""Balances, and what tokens say of themselves, at one block."""
