"""What proves a cluster: measurements as data, the bands that they are held against, and the likely causes."""
