"""What lies on the disks of nodes, watched and looked after."""
