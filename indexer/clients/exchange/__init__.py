"""Exchange accounts over ccxt: it signs, carries and parses; what an account holds is decided elsewhere."""
