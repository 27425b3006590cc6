"""Carrying out playbooks: the one place where SparkDesk changes a node."""
