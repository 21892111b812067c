"""What travels over HTTP: the shapes of requests, answers and messages, for servers and clients."""
