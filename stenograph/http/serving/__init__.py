"""The server and its connections: uvicorn, with deadlines."""
