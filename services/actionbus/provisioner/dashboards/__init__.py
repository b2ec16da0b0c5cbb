"""The Grafana dashboards, as plain dictionaries: a file for each, on panels and a board that they share."""
