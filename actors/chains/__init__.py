"""One chain: from a head to a commit, and what happens when nodes lag, lie or leave."""
