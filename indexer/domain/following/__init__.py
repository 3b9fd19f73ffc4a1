"""The chain as it is followed: blocks, branches, and how sure a block is."""
