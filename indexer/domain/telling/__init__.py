"""What is told: facts, the commits that number them, and the words and names under which they go out."""
