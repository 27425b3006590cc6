"""The settings page: looks, folders, versions.

Rule: a setting takes effect at once, or says when it will.
"""
