"""One module an engine, each giving one ``Backend`` value.

The one rule: pure, and it sees ``sparkdesk.core`` only.
"""
