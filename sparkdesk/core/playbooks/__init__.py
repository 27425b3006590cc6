"""Pure builders of playbooks, and the readers that their expectations name."""
