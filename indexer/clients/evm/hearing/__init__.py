"""Heads as they come: websockets, and asking while there is none to rely on."""
