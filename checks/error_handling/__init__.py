"""Checks of the Error Handling component."""
