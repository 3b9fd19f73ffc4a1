"""What queries read: records, what lies between them, and what became of reading them again."""
