"""Why the form is filled: a plain launch, one in the place of another server, or one after a failure was mended."""
