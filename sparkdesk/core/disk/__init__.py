"""What lies on the disks of nodes: models, images, compile caches."""
