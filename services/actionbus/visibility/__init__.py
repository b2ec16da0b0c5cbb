"""The tables that people read: their shape, how they are written, what they can be asked. Kafka is not known here."""
