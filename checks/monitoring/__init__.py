"""Checks of the Monitoring component."""
