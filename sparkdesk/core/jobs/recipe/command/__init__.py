"""Command lines of engines: read without a shell, written for one."""
