"""Every link from a Submit in Label Studio to the next queue, looked at in order: which is broken, and the next step."""
