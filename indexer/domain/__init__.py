"""Values and decisions: nothing in here awaits, logs, or tells the time."""
