"""What keeps a node apart from this computer: namespaces and its own root or, without them, rules and no rights."""
