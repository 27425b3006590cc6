"""Programs that run ON a node: standard library only, Python 3.8 and later, one self-contained file each.

The one rule: nobody imports them. They are read as text, sent over a channel or put into a job's folder, and run there.
"""
