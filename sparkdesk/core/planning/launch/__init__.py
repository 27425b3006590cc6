"""A launch request, as the planner reads it, and what every engine checks of it."""
