"""A node as processes: the resident that owns its namespaces, and the handle by which the simulator talks to it."""
