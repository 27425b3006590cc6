"""What was measured: its past, why it has holes, what it adds up to, and how it is kept over the end of the program."""
