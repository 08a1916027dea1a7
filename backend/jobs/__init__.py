"""What workers run: each job can be run again from its start."""
