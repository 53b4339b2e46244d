"""What the scripts that take pictures show."""
