"""A launch request as files that other tools take. Secrets are never in one."""
