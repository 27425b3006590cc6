"""What the inspector shows of one node, cable, switch or other device: each kind is a part of its own."""
