"""A server with TLS that answers /roots.pem as strangers might: stranger.py CERT KEY ROOTS OTHER PORT MODE [PORT MODE ...]"""
import http.server
import ssl
import sys
import threading

cert, key, roots, other = sys.argv[1:5]
roots, other = open(roots, "rb").read(), open(other, "rb").read()


def handler(mode):
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, status, body, headers=(), length=None):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                pass

        def do_GET(self):
            if self.path != "/roots.pem":
                return self.answer(200, b"ok\n")
            if mode == "redirect":
                return self.answer(302, b"", [("Location", "/elsewhere")])
            body = {
                "good": roots,
                "two": other + roots,
                "oversized": roots + b"\n" * (1 << 20),
                "truncated": roots[:-40],
                "short": roots,
                "text": b"hello",
            }[mode]
            self.answer(200, body, length=len(body) + 10 if mode == "short" else None)

        def log_message(self, *_):
            pass

    return Handler


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
for port, mode in zip(sys.argv[5::2], sys.argv[6::2]):
    server = http.server.ThreadingHTTPServer(("localhost", int(port)), handler(mode))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
