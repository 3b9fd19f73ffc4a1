"""What is remembered: one module per collection, every write safe to repeat."""
