"""What the deployments page says of speed, of programs that use a server, and of what to change. No widgets here."""
