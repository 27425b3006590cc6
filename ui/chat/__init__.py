"""The chat page: conversations on the left, what is said in the middle, the model and its settings on the right.

The one rule: what a model says is text. It is laid out, never run, fetched or followed.
"""
