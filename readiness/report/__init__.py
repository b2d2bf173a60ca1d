"""One small module a format; every one is made from the report and nothing else."""
