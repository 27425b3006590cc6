"""What the planner must know of the cluster at this moment."""
