"""The CUDA that it was built for."""

cuda = "13.0"
