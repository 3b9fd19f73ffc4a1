"""Knows, exactly and at once, what every solver wallet and exchange account holds."""
