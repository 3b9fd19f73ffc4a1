"""Where our chain and the node's part, and how ours goes on."""
