"""Transfer logs: of one block or of many, hinted at or left out."""
