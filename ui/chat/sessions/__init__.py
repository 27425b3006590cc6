"""The list of conversations: its lines, how they are painted, its menu and its questions."""
