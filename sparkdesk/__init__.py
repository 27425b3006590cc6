"""SparkDesk: a desktop control center for NVIDIA DGX Spark clusters.

This package is the application without a face. Its one rule: importing it costs nothing, so it imports nothing.
"""

__version__ = "0.1.0"
