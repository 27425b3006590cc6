"""Paste anything: text from outside is read while it is typed, explained, and put into the launch form when asked."""
