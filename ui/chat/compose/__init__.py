"""Where a question is written, with all that goes along."""
