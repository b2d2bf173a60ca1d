"""Checks of the Performance component."""
