"""Many tasks of agents: how long until all are done, and where more at once stops helping."""
