"""Object storage as real servers on loopback speak it."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable

import fsspec
import pytest
import requests
from engines.buckets import gs_at, s3_at

NO_S3 = "install the extra `test` for s3fs and its server"
NO_GS = "install the extra `test` for gcsfs and its server"


@pytest.fixture(scope="module")
def s3_server():
    """The address of an S3 server with a bucket."""
    pytest.importorskip("s3fs", reason=NO_S3)
    server = pytest.importorskip("moto.server", reason=NO_S3).ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    assert requests.put(f"http://{host}:{port}/bucket", timeout=10).ok
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def gs_server():
    """The address of a Google Cloud Storage server with a bucket."""
    pytest.importorskip("gcsfs", reason=NO_GS)
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason=NO_GS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def environment(monkeypatch) -> Callable[..., None]:
    """Sets variables as a user does before the program starts, and unsets all others that name a storage."""

    def forget() -> None:
        # What was connected to in an earlier test would be taken again.
        for kind in ("s3", "gs"):
            known = fsspec.registry.get(kind)
            if known is not None:
                known.clear_instance_cache()

    def given(**variables: str) -> None:
        for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "STORAGE_", "FSSPEC_"))]:
            monkeypatch.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "CLOUDSDK_CONFIG"):
            monkeypatch.setenv(name, "/nowhere")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        forget()

    yield given
    forget()


@pytest.fixture(params=["s3", "gs"])
def bucket(request, environment, tmp_path) -> str:
    """The URL of a folder of its own in object storage."""
    server = request.getfixturevalue(f"{request.param}_server")
    environment(**(s3_at(server) if request.param == "s3" else gs_at(server)))
    return f"{request.param}://bucket/{tmp_path.name}"
