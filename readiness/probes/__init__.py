"""The only code that touches the network. A probe reads and never judges; drivers are imported where they are used."""
