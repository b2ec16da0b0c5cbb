"""How a service process lives: settings, logs, metrics and probes, shutdown. Nothing about workflows."""
