"""Checks of the Security component."""
