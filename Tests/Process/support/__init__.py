"""What the tests share: a server process, stubs, clients, raw HTTP/2."""
