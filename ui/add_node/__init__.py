"""Adding a node: finding candidates, then three rows (who, trust, sign in) beside the live log of the attempt.

Rule: there is no way on before a person decided about the host key, and none at all when a known key changed.
"""
