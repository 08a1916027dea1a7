"""A project's tie to Label Studio, as people ask for it: checks, `connect` and its way back, what differs, `ask-again`."""
