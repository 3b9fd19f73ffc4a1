"""From blocks on our tip to commits, and whose blocks they are."""
