"""A balance over a time, in exact numbers: its course, and statistics of it."""
