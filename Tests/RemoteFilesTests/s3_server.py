"""An S3 server on loopback, by moto: prints its port, ends when its standard input does.

    s3_server.py [careless | tagless]

Each request must be signed for the key `key`, the secret `secret` and the token `token`, as botocore
signs it. `careless` ignores the conditions of writes, `tagless` sends no entity tags. A bucket
`bucket` is there.
"""

import hashlib
import io
import logging
import sys
import threading

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import Client

logging.disable()
CREDENTIALS = Credentials("key", "secret", "token")
LOCK = threading.Lock()
application = DomainDispatcherApplication(create_backend_app)


def is_signed(environ, body):
    """Whether a request has the signature that botocore computes of it."""
    text = environ.get("HTTP_AUTHORIZATION", "")
    if not text.startswith("AWS4-HMAC-SHA256 "):
        return False
    fields = dict(part.strip().split("=", 1) for part in text.split(" ", 1)[1].split(","))
    headers = {
        name: environ[
            "CONTENT_TYPE" if name == "content-type" else "HTTP_" + name.upper().replace("-", "_")
        ]
        for name in fields["SignedHeaders"].split(";")
    }
    url = f"http://{environ['HTTP_HOST']}{environ['REQUEST_URI']}"
    request = AWSRequest(method=environ["REQUEST_METHOD"], url=url, headers=headers, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = S3SigV4Auth(CREDENTIALS, "s3", "us-east-1")
    signature = auth.signature(
        auth.string_to_sign(request, auth.canonical_request(request)), request
    )
    return (
        fields["Signature"] == signature
        and headers["x-amz-security-token"] == CREDENTIALS.token
        and headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()
    )


def serve(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    if not is_signed(environ, body):
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
        return [b"<Error><Code>SignatureDoesNotMatch</Code></Error>"]
    if "careless" in sys.argv:
        environ.pop("HTTP_IF_MATCH", None)
        environ.pop("HTTP_IF_NONE_MATCH", None)

    def start(status, headers, *rest):
        if "tagless" in sys.argv:
            headers = [item for item in headers if item[0].lower() != "etag"]
        return start_response(status, headers, *rest)

    # S3 looks at a condition and writes in one step; moto in two.
    with LOCK:
        return application(environ, start)


Client(application).put("/bucket")
server = make_server("127.0.0.1", 0, serve, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
