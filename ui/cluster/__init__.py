"""The cluster page: is everything up, what runs where, is a cable wrong."""
