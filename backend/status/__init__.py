"""What there is to know of each project: its version, F1, queue, jobs, errors and next step; as values and as lines."""
