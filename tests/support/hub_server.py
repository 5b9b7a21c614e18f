"""A hub of the test's own, as far as `huggingface_hub` asks: what a repository holds at a commit, its files, and who may read them.

It answers as huggingface.co does: a listing with the card, a tree for snapshots, and files with commit and hash of their content in
the headers, in ranges if a download goes on where it broke off.
"""

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote, urlsplit

import yaml
from huggingface_hub import close_session, constants

from tests.support.https import certificate, serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HOST = "localhost"
TOKEN = "hf_of_the_test"


@dataclass
class Hub:
    """Its repositories, and what was asked of it."""

    repositories: dict = field(default_factory=dict)  # "datasets/owner/name" or "models/owner/name" -> {path: bytes}
    gated: set = field(default_factory=set)
    asked: list = field(default_factory=list)
    cut: dict = field(default_factory=dict)  # path -> after how many bytes its next download breaks off
    stated: dict = field(default_factory=dict)  # path -> the hash that listings state, instead of that of its content
    end_point: str = ""
    trust: str = ""

    def environment(self):
        """What another process needs to ask this hub."""
        return {"HF_ENDPOINT": self.end_point, "SSL_CERT_FILE": self.trust}

    def point_this_process(self, monkeypatch):
        """Ask this hub from here on: what its client reads from the environment, it read when it was imported."""
        monkeypatch.setattr(constants, "ENDPOINT", self.end_point)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", self.end_point + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setenv("SSL_CERT_FILE", self.trust)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        close_session()  # the client holds the certificates that it was made with


class Handler(BaseHTTPRequestHandler):
    """Answers of the hub that the class carries."""

    hub = None
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body):
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path))
        api = re.fullmatch(r"/api/((?:datasets|models)/[^/]+/[^/]+)/(revision|tree)/([^/]+)", path)
        file = re.fullmatch(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        name = api[1] if api else f"{file[1] or 'models'}/{file[2]}" if file else ""
        if name not in self.hub.repositories:
            return self.refuse(404, "RepoNotFound")
        if name in self.hub.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.refuse(401, "GatedRepo")
        if (api or file)[3] not in (COMMIT, "main"):
            return self.refuse(404, "RevisionNotFound")
        files = self.hub.repositories[name]
        if api:
            return self.say(200, {"Content-Type": "application/json"}, json.dumps(
                listing(name, files, self.hub.stated) if api[2] == "revision" else tree(files)).encode(), with_body)
        if file[4] not in files:
            return self.refuse(404, "EntryNotFound")
        return self.send_file(file[4], files[file[4]], with_body)

    def send_file(self, name, content, with_body):
        begin = int(re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        cut = self.hub.cut.pop(name, None) if with_body else None
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self.say(206 if begin else 200, headers, content[begin:], with_body, cut)

    def refuse(self, status, code):
        self.say(status, {"X-Error-Code": code, "X-Error-Message": code, "X-Repo-Commit": COMMIT}, b"", with_body=False)

    def say(self, status, headers, body, with_body, cut=None):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True

    def log_message(self, *_):
        """Say nothing."""


def listing(name, files, stated):
    card = re.match(rb"---\n(.*?)---\n", files.get("README.md", b""), re.DOTALL)
    return {"id": name.partition("/")[2], "sha": COMMIT, "siblings": [sibling(each, content, stated) for each, content in files.items()],
            "cardData": yaml.safe_load(card[1]) if card else None}


def sibling(name, content, stated):
    return {"rfilename": name, "size": len(content), "blobId": hashlib.sha1(content).hexdigest(),
            "lfs": {"size": len(content), "sha256": stated.get(name, hashlib.sha256(content).hexdigest()), "pointerSize": 130}}


def tree(files):
    return [{"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for name, content in files.items()]


@contextlib.contextmanager
def hub_server(folder):
    """A hub that runs while the block does."""
    hub = Hub(trust=certificate(folder, HOST))
    with serving(type("HandlerOfThis", (Handler,), {"hub": hub}), hub.trust) as port:
        hub.end_point = f"https://{HOST}:{port}"
        yield hub
