"""Measure this deployment: shape, points as they come, beside what was predicted and published."""
