"""What a launch says beside model, nodes and load: how it is served, by which kernels, for how long, for whom."""
