"""The first page: from nothing to a live map, with own hardware or without.

Rule: nothing logs in anywhere before the person has seen the host key and said yes.
"""
