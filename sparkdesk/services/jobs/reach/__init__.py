"""How a server is reached from outside the application: ports of this computer, and keys."""
