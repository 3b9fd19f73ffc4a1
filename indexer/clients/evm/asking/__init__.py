"""One question to one endpoint: how it is written, carried and read."""
