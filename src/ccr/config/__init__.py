"""The configuration of a person: where it lies, how it is read, what it means."""
