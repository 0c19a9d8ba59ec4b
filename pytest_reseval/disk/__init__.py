"""What a sandbox occupies on the host's disk: reading it, and ending who is above the bound."""
