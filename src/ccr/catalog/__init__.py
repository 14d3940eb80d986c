"""Facts about models, in one place."""
