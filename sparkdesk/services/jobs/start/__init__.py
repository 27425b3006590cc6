"""How jobs come to be: what earlier starts took, switching, and what to change after a failure."""
