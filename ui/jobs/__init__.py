"""Deployments: what is served, how fast, and why not."""
