"""How a live run comes to another definition, a file for each part of it; ``migrate`` beside it puts them together."""
