"""What both servers, `openclap serve` and `openclap ui`, do at the socket: limits of connections, proxies, headers of every answer."""
