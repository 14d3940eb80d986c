"""What a person does before and beside the work: set up, check, list models, connect other clients."""
