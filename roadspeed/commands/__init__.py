"""What a person types after `roadspeed`: one command a file, and the options they share."""
