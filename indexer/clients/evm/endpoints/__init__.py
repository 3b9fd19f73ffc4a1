"""Several endpoints as one: who is asked next, how fast, and who is well."""
