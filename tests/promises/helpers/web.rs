//! A server on loopback that asks for a user and a password: with TLS or without, files of a folder, or what a registry answers.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::house::{PYTHON, command, text};

/// Ended by process id.
pub struct Web {
    child: Child,
    port: u16,
}

impl Web {
    /// Serves a folder to this user alone; everybody else is answered 401, and each `Authorization` is written to `seen`.
    pub fn start(folder: &Path, user: &str, password: &str, seen: &Path) -> Web {
        let mut python = command(PYTHON, &["-c", SERVER, text(folder), text(seen)]);
        python.env("LOGIN", format!("{user}:{password}")).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = python.spawn().expect("python runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        Web { port: line.trim().parse().expect("a port"), child }
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SERVER: &str = r#"
import base64, functools, http.server, os, sys
folder, seen = sys.argv[1:]
right = 'Basic ' + base64.b64encode(os.environ['LOGIN'].encode()).decode()
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        said = self.headers.get('Authorization')
        if said: open(seen, 'a').write(said + '\n')
        if said != right:
            self.send_response(401)
            self.send_header('WWW-Authenticate', 'Basic realm="here"')
            self.send_header('Content-Length', '0')
            return self.end_headers()
        if self.path == '/v2/':
            self.send_response(200)
            self.send_header('Docker-Distribution-Api-Version', 'registry/2.0')
            self.send_header('Content-Length', '2')
            self.end_headers()
            return self.wfile.write(b'{}')
        if self.path.endswith('/tags/list'):
            body = b'{"name":"app","tags":["one","two"]}'
            self.send_response(200)
            self.send_header('Content-Type', 'application/json')
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            return self.wfile.write(body)
        super().do_GET()
    def log_message(self, *some): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Handler, directory=folder))
print(server.server_address[1], flush=True)
server.serve_forever()
"#;
