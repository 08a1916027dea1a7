"""What is fitted on embeddings: classes from a few labels, labels in doubt, and what several people's answers say."""
