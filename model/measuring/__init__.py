"""How good a head is, with an interval: F1, accuracy, learning curves, and whether one is better than another."""
