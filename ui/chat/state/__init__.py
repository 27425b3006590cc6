"""What the chat page knows beyond the conversation itself: its rows, the answer that is followed, ways on."""
