"""Headless verbs over the same services as the window; none of them imports PySide6 itself."""
