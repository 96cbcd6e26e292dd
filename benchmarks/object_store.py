"""An S3 server on this machine (moto's) that counts bytes, and that can be made slow, refusing or absent."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

KEYS = {
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class ObjectStore:
    """Listens on 127.0.0.1 from `start` to `stop`, and keeps what it holds between them.

    sent, taken: bytes to and from callers. refusing: the share of requests that get a 503. slow: seconds before each.
    """

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._answer = DomainDispatcherApplication(create_backend_app)
        self._server: Any = None
        self.port = 0
        self.sent = self.taken = 0
        self.refusing = self.slow = 0.0

    def start(self) -> None:
        from werkzeug.serving import make_server

        self._server = make_server("127.0.0.1", self.port, self._counted, threaded=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What processes that use it have to have in theirs."""
        return {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "AWS_ALLOW_HTTP": "true"}

    def make(self, bucket: str) -> None:
        """Let this process use it, and make a bucket."""
        import boto3

        os.environ.update(self.environment)
        boto3.client("s3").create_bucket(Bucket=bucket)

    def _counted(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self.slow:
            time.sleep(self.slow)
        if random.random() < self.refusing:
            start_response("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", "0")])
            return [b""]
        self.taken += int(environ.get("CONTENT_LENGTH") or 0)
        answer = b"".join(self._answer(environ, start_response))
        self.sent += len(answer)
        return [answer]
