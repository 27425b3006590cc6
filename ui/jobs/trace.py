"""The past of the engines' readings as the screens name it. The one rule: it is kept in services, not here."""

from sparkdesk.services.jobs.trace import TOKEN_RATE, Traces

__all__ = ["TOKEN_RATE", "Traces"]
