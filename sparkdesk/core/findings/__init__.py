"""What stands against a cluster being as it should be: concerns, the judges that raise them, and their acceptance."""
