"""How it is seen that a server that runs still serves."""
