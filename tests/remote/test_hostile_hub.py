"""A hub that lies: pages, lists, names, lengths, redirects; nothing false becomes whole."""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.remote.fetch_node import FILES, FIRST, LARGE, REMOTE, SHARD, Node
from tests.servers.hub import COMMIT, Hub, HubServer

INFO, TREE = "/api/models/o/n/revision/main", f"/api/models/o/n/tree/{COMMIT}"
ROW = {"type": "file", "path": "a", "size": 1, "oid": "0" * 40}


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub with one small model."""
    with HubServer(Hub(dict(FILES), set(LARGE))) as hub:
        yield hub


@pytest.fixture
def node(tmp_path: Path, hub: Hub) -> Node:
    """A node whose hub is this one."""
    return Node(tmp_path, hub)


def write_certificate(folder: Path) -> None:
    """cert.pem and key.pem of 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(1)).add_extension(names, False)
    signed = builder.not_valid_after(now + datetime.timedelta(1)).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))


@pytest.mark.parametrize(
    ("path", "kind", "body", "words"),
    [
        (INFO, "text/html; charset=utf-8", b"<html>Welcome to the hotel</html>", "web page"),
        (INFO, "application/json", b"[" * 100_000, "cannot be read"),
        (INFO, "application/json", b'{"sha": "main"}', "commit"),
        (TREE, "application/json", b'{"error": "soon"}', "list of files"),
        (TREE, "application/json", json.dumps([ROW, ROW]).encode(), "twice"),
        (TREE, "application/json", json.dumps([ROW, dict(ROW, path="a/b")]).encode(), "folder: a"),
        (TREE, "application/json", json.dumps([dict(ROW, path="a\0b")]).encode(), "leave its folder"),
        (TREE, "application/json", json.dumps([dict(ROW, path="\ud800")]).encode(), "leave its folder"),
        (TREE, "application/json", json.dumps([dict(ROW, size=True)]).encode(), "size and checksum"),
        (TREE, "application/json", json.dumps([dict(ROW, size=10**30)]).encode(), "GB free"),
        (TREE, "application/json", b"[]", "no files"),
    ],
)
def test_what_is_no_answer_of_a_hub_is_refused_before_anything_is_kept(
    node: Node, hub: Hub, path: str, kind: str, body: bytes, words: str
) -> None:
    hub.pages[path] = (kind, body)
    said = node.fetch()
    assert (said["ok"], words in said["message"], bool(said["remedy"])) == (False, True, True), said
    assert not (node.repo / "snapshots").exists()
    assert hub.cdn_asked == []


def test_a_list_that_leads_to_itself_ends(node: Node, hub: Hub) -> None:
    source = (REMOTE / "hub.py").read_text().replace("MAX_PAGES = 20000, 1000", "MAX_PAGES = 20000, 5")
    lead = node.home / "programs"
    lead.mkdir()
    (lead / "hub.py").write_text(source)
    shutil.copy(REMOTE / "fetch.py", lead)
    hub.next_page = TREE
    argv = [sys.executable, "-I", "-S", str(lead / "fetch.py"), "o/n", "main"]
    done = subprocess.run(argv, env=node.env, capture_output=True, timeout=50, check=False)
    assert "does not end" in json.loads(done.stdout.splitlines()[-1])["message"]


def test_a_web_page_in_place_of_a_file_is_not_kept(node: Node, hub: Hub) -> None:
    hub.lies = {"config.json": b"<html>Sign in</html>"}
    said = node.fetch()
    assert (said["ok"], node.is_whole(), node.snapshot.exists()) == (False, False, False)
    hub.lies = {}
    (node.repo / "blobs" / f"{hub.entry('config.json')['oid']}.incomplete").write_bytes(b"<html>")
    assert node.fetch()["ok"] is True
    assert (node.snapshot / "config.json").read_bytes() == FILES["config.json"]


@pytest.mark.parametrize("length", [10, len(SHARD) - 1, len(SHARD) + 1, 1 << 40])
def test_a_length_that_is_not_true_makes_no_file_whole_that_is_not(node: Node, hub: Hub, length: int) -> None:
    hub.lengths[FIRST] = length
    said = node.fetch()
    assert said["ok"] is node.is_whole()
    assert not said["ok"] or (node.snapshot / FIRST).read_bytes() == SHARD
    hub.lengths.clear()
    assert node.fetch()["ok"] is True
    assert (node.snapshot / FIRST).read_bytes() == SHARD


def test_a_hub_that_goes_on_from_another_byte_is_read_from_the_start(node: Node, hub: Hub) -> None:
    hub.cut_after[FIRST] = [200_000]
    hub.starts[FIRST] = 100_000
    assert node.fetch()["ok"] is True
    assert (node.snapshot / FIRST).read_bytes() == SHARD


def test_a_hub_on_https_that_sends_on_to_http_is_refused(node: Node, hub: Hub) -> None:
    write_certificate(node.home)
    hub.certificate = node.home / "cert.pem"
    with HubServer(hub):
        node.env.update(HF_ENDPOINT=hub.url, SSL_CERT_FILE=str(hub.certificate))
        said = node.fetch("o/n", "main", FIRST)
    assert (said["ok"], said["kind"]) == (False, "redirect")
    assert hub.cdn_asked == []


class NoRange(BaseHTTPRequestHandler):
    """Says to everything that it has no such range."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_error(416)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def test_a_list_whose_range_is_refused_although_none_was_asked_for_is_a_no(node: Node) -> None:
    with HTTPServer(("127.0.0.1", 0), NoRange) as server:
        node.env["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        said = node.lines()
        server.shutdown()
        thread.join()
    assert (said[-1]["ok"], said[-1]["kind"]) == (False, "refused")
