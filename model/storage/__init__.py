"""Where things are kept: files that are whole or not there, documents, and an object store with copies of what lies in it."""
