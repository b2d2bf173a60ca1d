"""Audits a live deployment, read-only, and scores whether it is ready for production."""

__version__ = "0.1.0"
