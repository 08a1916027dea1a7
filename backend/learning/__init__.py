"""One round: labels and a pool in; head, metrics and ranking out. No Label Studio, no RQ, no disk."""
