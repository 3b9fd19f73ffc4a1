"""What holds, and where to go on, after a restart or a reorg."""
