"""Checks of the Database component."""
