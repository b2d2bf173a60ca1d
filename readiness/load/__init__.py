"""The open-loop HTTP load engine, usable alone."""
