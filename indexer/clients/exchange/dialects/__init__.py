"""How each venue says what an account holds; `dialect_of` finds the one for an exchange."""
