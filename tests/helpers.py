"""What several system tests share."""

import socket


def free_port():
    """:return: a TCP port of the loopback interface that nobody listens on"""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
