"""How fast the product is on this machine: each figure a row with what it is measured against and the goal it is held to."""
