"""Checks of the Caching component."""
