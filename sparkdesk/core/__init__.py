"""The nouns and arithmetic of SparkDesk. Pure: no I/O, no clock, no randomness, no event loop."""
