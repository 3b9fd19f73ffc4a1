"""Exchange accounts: one actor for each, beside the chains and independent of them."""
