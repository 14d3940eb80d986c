"""Starting Claude Code so that it talks to ccr."""
