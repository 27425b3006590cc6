"""What is kept of a chat: turns and settings as JSON, and the port that keeps them."""
