"""What goes to a model server with a question: counted, cut to its window, and told."""
