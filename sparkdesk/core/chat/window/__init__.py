"""What of a conversation goes into a window of so many tokens: pure choices, no server and no clock."""
