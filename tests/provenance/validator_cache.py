"""Put the JSON-LD contexts of a crate where the validator looks for what it has fetched before.

Run by the Python of the validator's environment: `python validator_cache.py CACHE`. The network is not asked.
"""

import io
import sys
from importlib.metadata import files
from pathlib import Path

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse


class Stored(BaseAdapter):
    """Answer every request with one document."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content

    def send(self, request: PreparedRequest, **_: object) -> Response:
        response = Response()
        response.request, response.url, response.status_code = request, str(request.url), 200
        response.headers["Content-Type"] = "application/ld+json"
        response.raw = HTTPResponse(
            io.BytesIO(self.content), response.headers, 200, preload_content=False, request_url=request.url
        )
        return response

    def close(self) -> None:
        pass


(crate,) = (file for file in files("rocrate") or [] if file.name == "ro-crate.jsonld")
contexts = {
    "https://w3id.org/ro/crate/1.1/context": Path(str(crate.locate())),
    "https://w3id.org/ro/terms/workflow-run/context": Path(__file__).with_name("workflow-run.jsonld"),
}
session = CachedSession(sys.argv[1], backend="sqlite", expire_after=-1)
for url, path in contexts.items():
    session.mount(url, Stored(path.read_bytes()))
    session.get(url).raise_for_status()
