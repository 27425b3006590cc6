"""Simulated Sparks: real SSH servers in front of confined processes whose files answer as a GB10's do.

The one rule: always its own process, reached only by SSH; nothing but the verb `simulate` imports it.
"""
