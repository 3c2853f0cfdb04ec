"""What is told of every call: numbers and lines."""
