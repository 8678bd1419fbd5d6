"""How fast the gateway is, beside the floor that RSA, sockets and the database set. `make bench` runs it."""
