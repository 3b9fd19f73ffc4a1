"""EVM chains: heads, logs and reads pinned to a block's hash."""
