"""What a person types: the commands of `mapreduce`, and the options that `roadspeed` shares."""
