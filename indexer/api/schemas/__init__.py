"""JSON Schemas of what is sent and answered: words that all use, a module per subject, and all of them together."""
