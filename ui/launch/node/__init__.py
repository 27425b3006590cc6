"""What the nodes and the hub say while a person stands on the form."""
