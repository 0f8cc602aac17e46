"""What a person types: the commands of `roadspeed`, and their options."""
