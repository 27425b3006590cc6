"""The face of SparkDesk (Qt Widgets).

Its one rule: no I/O here; it shows what services publish and hands them what the person asks for.
"""
