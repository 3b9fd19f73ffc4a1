"""Who is believed about the chain: which one it is, its newest block, its branch, its rhythm."""
