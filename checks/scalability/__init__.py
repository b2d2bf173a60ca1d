"""Checks of the Scalability component, which exists where a cluster is configured or MongoDB is sharded."""
