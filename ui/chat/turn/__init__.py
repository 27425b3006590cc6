"""The rows that a turn of a conversation is shown as: question, thought, figures, problems, what was sent."""
