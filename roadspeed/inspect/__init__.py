"""`roadspeed inspect`: what some trips hold, and what to type to read them."""
