"""A real object store on loopback with the S3 protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import pytest


@contextmanager
def bucket(name: str) -> Iterator[Any]:
    """Yield a boto3 client for an empty bucket; meanwhile, its address and keys are in the environment."""
    s3fs = pytest.importorskip("s3fs", reason="the extra s3 is not installed")
    import boto3
    from moto.server import ThreadedMotoServer

    def forget() -> None:
        s3fs.S3FileSystem.clear_instance_cache()  # its cache key has the arguments, not the environment

    store = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    store.start()
    host, port = store.get_host_and_port()
    forget()
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()  # it keeps the state of other tests
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        client.create_bucket(Bucket=name)
        try:
            yield client
        finally:
            store.stop()
            forget()
