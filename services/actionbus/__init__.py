"""actionbus: durable workflows on the Kafka you already run."""
