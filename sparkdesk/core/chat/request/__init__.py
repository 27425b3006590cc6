"""What is asked of a server, in the words that its engine knows."""
