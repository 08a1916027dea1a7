"""Properties: whatever comes in, nothing but what is documented comes out."""
