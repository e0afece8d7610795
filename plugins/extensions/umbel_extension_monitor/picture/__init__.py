"""What is to be seen, worked out from events. Knows no terminal and no broker."""
