"""The plugin's side towards the world: Label Studio, HTTP, Redis and RQ."""
