"""nginx on loopback over a folder: prints its port, ends when its standard input does.

    nginx_server.py FOLDER
"""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

CONFIGURATION = """
daemon off;
pid {state}/pid;
error_log stderr crit;
events {{ worker_connections 64; }}
http {{
  access_log off;
  sendfile on;
  client_body_temp_path {state}/body;
  proxy_temp_path {state}/proxy;
  fastcgi_temp_path {state}/fastcgi;
  uwsgi_temp_path {state}/uwsgi;
  scgi_temp_path {state}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      root {folder};
      location ~ /(lock|verified\\.json)$ {{ deny all; }}
      location ~ /(links|anchors)/ {{
        add_header Cache-Control "public, max-age=31536000, immutable";
      }}
    }}
  }}
}}
"""

with tempfile.TemporaryDirectory() as state, socket.socket() as probe:
    # nginx run by root serves as another user.
    pathlib.Path(state).chmod(0o755)
    user = "user root;" if os.geteuid() == 0 else ""
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    folder = pathlib.Path(sys.argv[1]).resolve()
    text = CONFIGURATION.format(state=state, port=port, folder=folder)
    path = pathlib.Path(state, "nginx.conf")
    path.write_text(user + text)
    server = subprocess.Popen(["nginx", "-p", state, "-c", str(path)])
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.01)
    if server.poll() is None:
        print(port, flush=True)
        sys.stdin.read()
        server.terminate()
        server.wait()
