"""The world coming in."""
