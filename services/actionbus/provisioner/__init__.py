"""What is done once before services run: topics and definitions. It compares, says what it would do, and does it."""
