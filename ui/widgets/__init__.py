"""Parts that every page is built from.

Rule: a widget here knows theme, font, icon and text, and nothing of nodes, jobs or chats.
"""
