"""The migrations of the visibility database, oldest first, as Alembic reads them from ``versions``."""
