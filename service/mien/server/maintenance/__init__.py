"""For those who keep galleries: duplicates, snapshots, and what is to be forgotten in time."""
