"""Redis and RQ: how work is scheduled, who does it."""
