"""Playbooks that bring images and models to nodes."""

from sparkdesk.core.playbooks.fetch.stage import fetch_stages

__all__ = ["fetch_stages"]
