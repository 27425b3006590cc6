"""Measuring a server: shapes, points, runs."""
