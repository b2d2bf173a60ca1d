"""Work on a Dask cluster: how to reach one, the executor for audits, and the one for senders of load.

Dask is an extra: nothing here imports it before a cluster is asked for. The scheduler and every worker need the same
version of readiness as the client.
"""

from readiness.cluster.connection import Cluster, Worker, connect
from readiness.cluster.sending import Senders

__all__ = ["Cluster", "Senders", "Worker", "connect"]
