"""Who acts, in which order, and what happens when it fails."""
