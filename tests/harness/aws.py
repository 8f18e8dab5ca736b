"""An account on loopback: moto's server, behind the endpoint that every AWS client reads from the environment."""

import os
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer


@contextmanager
def account() -> Generator[str, None, None]:
    """A fresh one in Seoul, with AWS's own managed policies in it; yields the endpoint."""
    kept = dict(os.environ)
    # So that an attachment of a policy that isn't there is refused.
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_DEFAULT_REGION="ap-northeast-2",
        AWS_EC2_METADATA_DISABLED="true",
    )
    # All servers of a process have one account: what an earlier one left goes.
    urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/reset", data=b"", timeout=30).close()
    try:
        yield os.environ["AWS_ENDPOINT_URL"]
    finally:
        os.environ.clear()
        os.environ.update(kept)
        server.stop()
