"""Service: HTTP for integrators and operators. Alone knows FastAPI."""
