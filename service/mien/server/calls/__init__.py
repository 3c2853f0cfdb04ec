"""What stands between gRPC and the servicers, for every call: its arrival, its place, its end."""
