"""One module an engine, each giving one ``Backend`` value; a long log reader stands beside its engine.

The one rule: pure, and it sees ``sparkdesk.core`` only.
"""
