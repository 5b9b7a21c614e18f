"""A wire between a client and a server that a test may cut, and cut at the worst moment."""

import socket
import threading
from contextlib import suppress
from pathlib import Path

COMMIT = b"COMMIT"


class Wire:
    """Listens on a port and forwards to a server; each mode is one way in which networks fail.

    `pass`, `refuse` (connections are closed at once), `cut after commit` (the server gets COMMIT and answers, the client never
    hears it; once, then `pass`), `drop reply` (any request is delivered, its reply is not; once, then `pass`), `status 503`
    (an HTTP server that says so), `hang` (takes connections and says nothing).
    """

    def __init__(self, server: tuple[str, int] | Path) -> None:
        self.mode = "pass"
        self.num_cuts = 0
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def cut_all(self) -> None:
        """Break every connection that is open."""
        for each in self._open:
            _end(each)
        self._open = []

    def close(self) -> None:
        self._listener.close()
        self.cut_all()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self.mode == "hang":
            return
        if self.mode == "refuse":
            _end(client)
        elif self.mode == "status 503":
            self.num_cuts += 1
            client.recv(65536)
            client.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            _end(client)
        else:
            self._forward(client)

    def _forward(self, client: socket.socket) -> None:
        server = self._connect()
        self._open.append(server)
        threading.Thread(target=self._back, args=(client, server), daemon=True).start()
        try:
            while data := client.recv(65536):
                if self.mode == "cut after commit" and COMMIT in data:
                    self.mode = "cut"
                server.sendall(data)
        except OSError:
            pass
        finally:
            _end(server)

    def _back(self, client: socket.socket, server: socket.socket) -> None:
        """Pass replies on; the one that must not arrive is read, so that the server has done its work, and dropped."""
        try:
            while data := server.recv(65536):
                if self.mode in ("cut", "drop reply"):
                    self.mode, self.num_cuts = "pass", self.num_cuts + 1
                    break
                client.sendall(data)
        except OSError:
            pass
        finally:
            _end(client)

    def _connect(self) -> socket.socket:
        if isinstance(self._server, Path):
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server))
            return server
        return socket.create_connection(self._server)


def _end(end: socket.socket) -> None:
    """Break a connection, also for a thread that waits on it."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
