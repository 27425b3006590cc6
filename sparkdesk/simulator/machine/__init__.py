"""What a Spark is and shows of itself: its constants, its files, and the physical model that moves them."""
