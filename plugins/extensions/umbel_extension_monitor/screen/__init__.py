"""What is shown, with Textual."""
