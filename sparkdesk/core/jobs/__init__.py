"""Launch requests, plans, running jobs and the adapters that make plans."""
