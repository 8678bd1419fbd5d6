"""Real processes on loopback, under load, hit by what machines, networks, disks and merchants do (`make chaos`)."""
