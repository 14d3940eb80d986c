"""The person's own code in ccr: plugin files, the process that hosts those in JavaScript, their log."""
