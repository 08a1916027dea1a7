"""Networks, embeddings, heads and versions: torch and disk. Knows nothing of Label Studio, HTTP or Redis."""
