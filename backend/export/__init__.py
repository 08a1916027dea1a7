"""A project's model, labels and predictions as a folder that needs nothing of this package."""
