"""The right side of the chat: which model, how full its context is, and how it is asked."""
