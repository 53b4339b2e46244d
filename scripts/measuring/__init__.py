"""What the long measurements share: where they were made, and chains of commands with their figures."""
