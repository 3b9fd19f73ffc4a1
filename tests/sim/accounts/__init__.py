"""Seeded stories of one exchange account: the venue that lies, real ccxt and our actor, over wires, in virtual time."""
