"""Service: from the events topic to the tables that people read. Alone knows Faust."""
