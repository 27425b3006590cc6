"""How the next answer is made: sampling, thinking, and the form that the answer shall have."""
