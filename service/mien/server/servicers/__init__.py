"""The services. A method reads the request, calls the other rooms, and replies."""
