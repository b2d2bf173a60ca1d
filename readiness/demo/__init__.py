"""The embedded deployment that `readiness demo` starts, audits and stops."""

from readiness.demo.launch import Deployment, deployment
from readiness.demo.processes import StartError
from readiness.demo.stages import STAGES

__all__ = ["STAGES", "Deployment", "StartError", "deployment"]
