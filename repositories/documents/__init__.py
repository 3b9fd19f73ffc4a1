"""What is stored, in the form in which it is stored: one module per subject, each with both directions."""
