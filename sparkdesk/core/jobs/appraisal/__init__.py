"""Rules that hold a running server against its plan. Pure."""
