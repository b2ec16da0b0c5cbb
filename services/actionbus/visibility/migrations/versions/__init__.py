"""One file for each step; one that was released never changes."""
