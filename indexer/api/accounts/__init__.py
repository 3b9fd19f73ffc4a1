"""Exchange accounts over HTTP: which are followed, and what they hold and held."""
