"""The plugin's side towards the world: Label Studio, HTTP, Redis and RQ."""

__version__ = "0.7.0"
