"""Nodes, ports, links and the clusters they form."""
