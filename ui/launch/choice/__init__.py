"""What each field of the form offers, and what it says while nobody touches it."""
