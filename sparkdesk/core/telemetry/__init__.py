"""What is measured on nodes: the metric table, samples, their history, and the reading of probe lines."""
