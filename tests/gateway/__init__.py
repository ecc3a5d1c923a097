"""The gateway, over real sockets and with the official client."""
