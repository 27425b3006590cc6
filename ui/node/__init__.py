"""The pages and dialogs of one node."""
