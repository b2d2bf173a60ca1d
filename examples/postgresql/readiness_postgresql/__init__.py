"""Checks of a live PostgreSQL server: a pack for readiness."""
