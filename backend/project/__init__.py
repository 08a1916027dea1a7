"""One project at hand: its state, its index of tasks, its embeddings."""
