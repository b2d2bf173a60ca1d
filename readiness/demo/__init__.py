"""The embedded deployment that `readiness demo` starts, audits and stops."""
