"""Conversations as files: our own forms and those of other programs. Pure: bytes in, values out, and back."""
