"""People who err: what that costs, what weighing their answers brings, and what asking again does, at equal numbers of
answers."""
