"""What a running server is measured with."""
