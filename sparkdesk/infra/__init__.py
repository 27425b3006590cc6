"""The outside: one module a foreign library; nothing else imports that library."""
