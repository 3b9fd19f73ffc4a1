"""One chain's history: orders to fill it, worked off beside the heads."""
