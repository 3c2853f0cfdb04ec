"""Who may call what and how often, and the audit of what was asked."""
