"""Servers on loopback that misbehave in one way each, for the tests of RemoteFiles.

    servers.py FOLDER

serves the files of FOLDER below /MODE/NAME, prints its port, and ends when its standard input does.
A request of /log answers with what was asked for so far, a line each: mode, range, bytes sent.
"""

import http.server
import os
import random
import socket
import sys
import threading
import time
import urllib.parse

FOLDER = sys.argv[1]
LOCK = threading.Lock()
LOG = []
# The requests that are being answered; their lines follow when all is sent.
BUSY = set()
COUNTS = {}
RANDOM = random.Random(21)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def count(self, key):
        with LOCK:
            COUNTS[key] = COUNTS.get(key, 0) + 1
            return COUNTS[key]

    def answer(self, status, body=b"", headers=(), length=None):
        # What is asked for as a whole comes as a whole.
        self.send_response(200 if status == 206 and "Range" not in self.headers else status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.push(body)

    def push(self, body):
        self.sent += len(body)
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = self.is_gone = True

    def cut(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        self.sent = 0
        # `Connection: close` in an answer sets close_connection, before its body.
        self.is_gone = False
        if path == "/log":
            # A client has its bytes before the line is there; some requests never end.
            for _ in range(100):
                with LOCK:
                    text = "".join(line + "\n" for line in LOG)
                    if not BUSY:
                        break
                time.sleep(0.01)
            return self.answer(200, text.encode())
        _, mode, name = path.split("/", 2)
        asked = self.headers.get("Range")
        try:
            with open(os.path.join(FOLDER, name), "rb") as file:
                data = file.read()
        except OSError:
            return self.answer(404)
        number = self.count((mode, name))
        first, last = 0, len(data) - 1
        if asked:
            start, end = asked.removeprefix("bytes=").split("-")
            first, last = int(start), min(int(end), last)
        tag = [("ETag", f'"{len(data)}-{name}"'), ("Accept-Ranges", "bytes")]
        part = data[first : last + 1]
        content = [("Content-Range", f"bytes {first}-{last}/{len(data)}")]
        with LOCK:
            BUSY.add(self)
        try:
            getattr(self, "do_" + mode)(number, data, part, first, last, tag, content)
        finally:
            with LOCK:
                BUSY.discard(self)
                LOG.append(f"{mode} {asked} {self.sent}")

    # MARK: Modes

    def do_plain(self, number, data, part, first, last, tag, content):
        if self.headers.get("If-None-Match") == tag[0][1]:
            return self.answer(304, headers=tag, length=0)
        self.answer(206, part, tag + content)

    def do_whole(self, number, data, part, first, last, tag, content):
        """Knows no ranges, and states nothing of the object."""
        self.answer(200, data)

    def do_cutting(self, number, data, part, first, last, tag, content):
        """Cuts each connection at a random byte, until it has been asked 100 times."""
        # Cuts of what is left of a block would be no progress for the client, which waits after those.
        if number > 100 or len(part) <= 1 << 13:
            return self.answer(206, part, tag + content)
        most = min(len(part) - 1, len(data) // 100)
        self.answer(206, part[: RANDOM.randrange(most)], tag + content, length=len(part))
        self.cut()

    # MARK: Modes of stores, which have an index

    def __getattr__(self, name):
        """`do_MODE_files`: MODE for links and anchors, `plain` for the index."""
        if not name.endswith("_files"):
            raise AttributeError(name)
        is_index = self.path.endswith("/store.json")
        return getattr(self, "do_plain" if is_index else name.removesuffix("_files"))

    def do_named(self, number, data, part, first, last, tag, content):
        """Notes the paths that are asked for."""
        with LOCK:
            LOG.append("path " + self.path)
        self.do_plain(number, data, part, first, last, tag, content)

    def do_cutting_store(self, number, data, part, first, last, tag, content):
        """Cuts 100 connections at a random byte, and none of the index."""
        is_index = self.path.endswith("/store.json")
        # What is left of a block becomes so small that a cut would be no progress for the client, which
        # gives up after some of those.
        if is_index or len(part) <= 1 << 16 or self.count("cuts") > 100:
            return self.do_plain(number, data, part, first, last, tag, content)
        most = min(len(part) - 1, max(len(data) // 100, 1 << 16))
        self.answer(206, part[: RANDOM.randrange(most)], tag + content, length=len(part))
        with LOCK:
            LOG.append("cut here")
        self.cut()

    def do_short(self, number, data, part, first, last, tag, content):
        """Leaves the last byte out, and says so."""
        self.serve(data[:-1], first, last, tag)

    def do_long(self, number, data, part, first, last, tag, content):
        """A byte more."""
        self.serve(data + b"x", first, last, tag)

    def do_swapped(self, number, data, part, first, last, tag, content):
        """Other bytes, as many."""
        self.serve(bytes(byte ^ 1 for byte in data), first, last, tag)

    def serve(self, data, first, last, tag):
        last = min(last, len(data) - 1)
        part = data[first : last + 1]
        self.answer(206, part, [*tag, ("Content-Range", f"bytes {first}-{last}/{len(data)}")])

    def do_endless(self, number, data, part, first, last, tag, content):
        """States the length, and sends more."""
        self.send_response(206)
        for name, value in tag + content:
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.endless()

    def do_tiny(self, number, data, part, first, last, tag, content):
        """Cuts each connection after 3 000 bytes."""
        self.answer(206, part[:3000], tag + content, length=len(part))
        if len(part) > 3000:
            self.cut()

    def do_cutting_whole(self, number, data, part, first, last, tag, content):
        """Knows no ranges, and never sends the end."""
        self.answer(200, data[: len(data) // 2], tag, length=len(data))
        self.cut()

    def do_failing(self, number, data, part, first, last, tag, content):
        """Answers 500 twice, then 503, then as it should."""
        if number % 4 != 0:
            return self.answer(503 if number % 4 == 3 else 500, b"no")
        self.answer(206, part, tag + content)

    def do_later(self, number, data, part, first, last, tag, content):
        """Answers 503 three times, and asks for pauses that are none."""
        if number % 4 != 0:
            pauses = ["nan", "-nan", "inf", "-inf", "-1", "1e999", "soon"]
            return self.answer(503, b"no", [("Retry-After", pauses[number % len(pauses)])])
        self.answer(206, part, tag + content)

    def do_outage(self, number, data, part, first, last, tag, content):
        """Answers 503 while there is a file `outage`."""
        if os.path.exists(os.path.join(FOLDER, "outage")):
            return self.answer(503, b"no")
        self.do_plain(number, data, part, first, last, tag, content)

    def do_dead(self, number, data, part, first, last, tag, content):
        self.answer(500, b"no")

    def do_endless_error(self, number, data, part, first, last, tag, content):
        self.send_response(400)
        self.end_headers()
        self.endless()

    def endless(self):
        # A gigabyte at most: the client has gone long before.
        for _ in range(1 << 14):
            if self.is_gone:
                return
            self.push(bytes(1 << 16))

    def do_denied(self, number, data, part, first, last, tag, content):
        self.answer(403, b"<Error><Code>AccessDenied</Code></Error>")

    def do_changing(self, number, data, part, first, last, tag, content):
        """Another object from the second request on."""
        if number > 1:
            data = bytes(len(data))
            part = data[first : last + 1]
            tag = [("ETag", '"other"')]
            if self.headers.get("If-Range"):
                return self.answer(200, data, tag)
        self.answer(206, part, tag + content)

    def do_growing(self, number, data, part, first, last, tag, content):
        """States another size, and no tag, from the second request on."""
        size = len(data) + (number > 1)
        self.answer(206, part, [("Content-Range", f"bytes {first}-{last}/{size}")])

    def do_shifted(self, number, data, part, first, last, tag, content):
        """Sends other bytes than were asked for."""
        self.answer(
            206, data[first + 1 : last + 2],
            [*tag, ("Content-Range", f"bytes {first + 1}-{last + 1}/{len(data) + 2}")],
        )  # fmt: skip

    def do_dripping(self, number, data, part, first, last, tag, content):
        """Sends one byte of each range, and says so."""
        self.answer(
            206, data[first : first + 1],
            [*tag, ("Content-Range", f"bytes {first}-{first}/{len(data)}")],
        )  # fmt: skip

    def do_unranged(self, number, data, part, first, last, tag, content):
        """Says 206, and not which bytes they are."""
        self.answer(206, part, tag)

    def do_unsized(self, number, data, part, first, last, tag, content):
        """States no length, and never ends."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.endless()

    def do_more(self, number, data, part, first, last, tag, content):
        """Sends more than the range that it states."""
        self.do_endless(number, data, part, first, last, tag, content)

    def do_huge(self, number, data, part, first, last, tag, content):
        """States an exabyte."""
        size = 1 << 60
        self.answer(206, part, [*tag, ("Content-Range", f"bytes {first}-{last}/{size}")])

    def do_huge_whole(self, number, data, part, first, last, tag, content):
        """Knows no ranges, states an exabyte, and sends as if it had it."""
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 60))
        self.end_headers()
        self.endless()
        self.cut()

    def do_header(self, number, data, part, first, last, tag, content):
        """A header without an end."""
        self.push(b"HTTP/1.1 200 OK\r\n")
        for index in range(1 << 16):
            if self.is_gone:
                return
            self.push(b"X-%d: " % index + b"x" * 1000 + b"\r\n")

    def do_packed(self, number, data, part, first, last, tag, content):
        self.answer(206, part, [*tag, *content, ("Content-Encoding", "gzip")])

    def do_slow(self, number, data, part, first, last, tag, content):
        """Sends nothing after the header, until the test is over."""
        self.send_response(206)
        for name, value in tag + content:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        DONE.wait(30)
        self.cut()

    def do_to_file(self, number, data, part, first, last, tag, content):
        self.answer(302, headers=[("Location", "file:///etc/passwd")])

    def do_to_http(self, number, data, part, first, last, tag, content):
        self.answer(302, headers=[("Location", "/plain/" + self.path.rsplit("/", 1)[1])])

    def do_nowhere(self, number, data, part, first, last, tag, content):
        self.answer(302)

    def do_loop(self, number, data, part, first, last, tag, content):
        """For HTTPS: here again."""
        self.answer(302, headers=[("Location", self.path)])

    def do_moved(self, number, data, part, first, last, tag, content):
        """For HTTPS: to where it is, and what came with the request into the log."""
        with LOCK:
            LOG.append(f"authorization {self.headers.get('Authorization')}")
        host = self.headers["Host"].replace("127.0.0.1", "localhost")
        self.answer(302, headers=[("Location", f"https://{host}/seen/" + self.path.rsplit("/", 1)[1])])

    def do_seen(self, number, data, part, first, last, tag, content):
        with LOCK:
            LOG.append(f"authorization {self.headers.get('Authorization')}")
        self.answer(206, part, tag + content)


DONE = threading.Event()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 2:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
DONE.set()
