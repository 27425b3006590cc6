"""How full the window is, what fills it, and what is done when it is full."""
