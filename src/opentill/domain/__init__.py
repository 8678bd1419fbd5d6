"""Pure values and rules: which states exist, which moves are allowed, when to try again. No I/O, no clock."""
