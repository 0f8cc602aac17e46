"""What coordinator and agent say to each other, and its bytes. Pure."""
