"""Downloads against a server on this machine that can be told to misbehave."""
import hashlib
import http.server
import json
import re
import threading
import zipfile

import pytest

from mammi import download as module
from mammi.download import download, take_member
from mammi.errors import BadInput, MissingAsset

DATA = bytes(range(256)) * 4000  # 1,024,000 bytes
SHA256 = hashlib.sha256(DATA).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves ``data`` under ``tag``; ``log`` holds (Range, If-Range) of every request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.tag, self.log = DATA, '"one"', []
        self.cut = None        # bytes after which the connection is closed
        self.ranges = True     # whether parts are given
        self.status, self.headers = None, {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}/file.bin"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted, condition = self.headers["Range"], self.headers["If-Range"]
        server.log.append((wanted, condition))
        if server.status:
            self.send_response(server.status)
            for name, value in server.headers.items():
                self.send_header(name, value)
            self.end_headers()
            return
        start = 0
        if wanted and server.ranges and condition in (None, server.tag):
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(server.data):
                self.send_error(416)
                return
        body = server.data[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.data) - 1}/{len(server.data)}")
        for name, value in ({"Content-Length": str(len(body)), "ETag": server.tag} | server.headers).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": .01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "file.bin"


def interrupted(server, path, **options):
    """A first attempt that ends half way."""
    server.cut = 400_000
    with pytest.raises(MissingAsset) as error:
        download(server.url, path, **options)
    server.cut = None
    return str(error.value)


def left(path):
    return sorted(p.name for p in path.parent.iterdir())


@pytest.mark.parametrize("known", [{}, {"sha256": SHA256}, {"size": len(DATA)}, {"sha256": SHA256, "size": len(DATA)}])
def test_whole(server, path, known):
    assert download(server.url, path, **known) == path
    assert path.read_bytes() == DATA and left(path) == ["file.bin"] and server.log == [(None, None)]


def test_what_is_there_is_not_fetched_again(server, path):
    download(server.url, path, SHA256)
    download(server.url, path, SHA256)
    assert len(server.log) == 1
    path.write_bytes(b"other")
    download(server.url, path, SHA256)
    assert len(server.log) == 2 and path.read_bytes() == DATA


@pytest.mark.fault
@pytest.mark.parametrize("sha256", [None, SHA256])
def test_half_a_download_is_kept_apart_and_gone_on_with(server, path, sha256):
    said = interrupted(server, path, sha256=sha256)
    assert "after 400,000 of 1,024,000 bytes" in said and "400,000 bytes of it are kept" in said
    assert not path.exists() and left(path) == [".file.bin.part", ".file.bin.part.json"]
    download(server.url, path, sha256)
    assert server.log[1:] == [("bytes=400000-", '"one"')]
    assert path.read_bytes() == DATA and left(path) == ["file.bin"]


@pytest.mark.fault
def test_interrupted_by_the_user(server, path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "CHUNK", 1000)
    monkeypatch.setattr(module, "track", lambda steps, what: (interrupt() if step == 7 else step for step in steps))
    with pytest.raises(KeyboardInterrupt):
        download(server.url, path)
    assert not path.exists()
    monkeypatch.setattr(module, "track", lambda steps, what: steps)
    download(server.url, path)
    assert server.log[1] == ("bytes=7000-", '"one"') and path.read_bytes() == DATA


@pytest.mark.fault
def test_server_that_gives_no_parts(server, path):
    interrupted(server, path)
    server.ranges = False
    assert download(server.url, path).read_bytes() == DATA


@pytest.mark.fault
@pytest.mark.parametrize("known", [True, False])
def test_file_that_changes_in_between_is_fetched_whole(server, path, known):
    interrupted(server, path)
    server.data, server.tag = DATA[::-1], '"two"'
    sha256 = hashlib.sha256(server.data).hexdigest() if known else None
    assert download(server.url, path, sha256).read_bytes() == server.data
    assert server.log[1] == ("bytes=400000-", '"one"')


def test_without_a_version_only_a_checksum_allows_to_go_on(server, path):
    server.tag = ""
    interrupted(server, path)
    download(server.url, path)
    assert server.log[1] == (None, None)
    path.unlink()
    interrupted(server, path)
    assert download(server.url, path, SHA256).read_bytes() == DATA
    assert server.log[3] == ("bytes=400000-", None)


def test_a_weak_tag_is_no_version_but_a_date_is(server, path):
    server.headers = {"ETag": 'W/"weak"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    interrupted(server, path)
    server.tag = "Wed, 21 Oct 2015 07:28:00 GMT"  # what the handler compares
    assert download(server.url, path).read_bytes() == DATA
    assert server.log[1] == ("bytes=400000-", "Wed, 21 Oct 2015 07:28:00 GMT")


@pytest.mark.fault
def test_file_that_became_shorter(server, path):
    interrupted(server, path, sha256=SHA256)
    about = path.with_name(".file.bin.part.json")
    about.write_text(json.dumps({"url": server.url, "mark": None}))
    server.data = b"short"
    download(server.url, path, hashlib.sha256(b"short").hexdigest())
    assert path.read_bytes() == b"short" and [wanted for wanted, _ in server.log] == [None, "bytes=400000-", None]


@pytest.mark.fault
@pytest.mark.parametrize("note", [b"", b"\xff", b'{"url": "http://elsewhere/file.bin", "mark": "x"}'])
def test_a_part_of_something_else_is_not_gone_on_with(server, path, note):
    path.parent.mkdir()
    path.with_name(".file.bin.part").write_bytes(b"something else")
    path.with_name(".file.bin.part.json").write_bytes(note)
    assert download(server.url, path).read_bytes() == DATA and server.log == [(None, None)]


@pytest.mark.fault
def test_wrong_checksum_shows_both_and_keeps_nothing(server, path):
    with pytest.raises(BadInput, match=f"sha256 {SHA256}, expected {'0' * 64}.*Nothing was kept"):
        download(server.url, path, "0" * 64)
    assert left(path) == []


@pytest.mark.fault
def test_a_corrupt_rest_is_seen_and_the_next_attempt_is_whole(server, path):
    interrupted(server, path, sha256=SHA256)
    path.with_name(".file.bin.part").write_bytes(b"\0" * 400_000)
    with pytest.raises(BadInput, match="Nothing was kept"):
        download(server.url, path, SHA256)
    assert left(path) == [] and download(server.url, path, SHA256).read_bytes() == DATA


@pytest.mark.fault
def test_wrong_size(server, path):
    with pytest.raises(BadInput, match="1,024,000 bytes where 12,041 are expected"):
        download(server.url, path, size=12_041)
    server.headers = {"Content-Length": ""}  # not announced
    with pytest.raises(BadInput, match="1,024,000 bytes where 12,041 are expected"):
        download(server.url, path, size=12_041)
    assert left(path) == []


@pytest.mark.fault
@pytest.mark.parametrize("announced", [True, False])
def test_too_large(server, path, announced):
    server.headers = {} if announced else {"Content-Length": ""}
    with pytest.raises(BadInput, match="the 5,000 (bytes )?that are fetched at most|5,000 bytes that are fetched"):
        download(server.url, path, largest=5000)
    assert left(path) == []


@pytest.mark.fault
def test_a_web_page_instead_of_the_file_keeps_what_was_there(server, path):
    interrupted(server, path)
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    server.tag = '"page"'
    with pytest.raises(MissingAsset, match="a web page.*browser.*400,000 bytes of it are kept"):
        download(server.url, path)
    server.headers, server.tag = {}, '"one"'
    assert download(server.url, path).read_bytes() == DATA and len(server.log) == 3


@pytest.mark.fault
@pytest.mark.parametrize("status, words", [(404, "404 Not Found"), (500, "500 Internal"), (503, "503"),
                                           (401, "needs an account"), (403, "account or an agreement")])
def test_server_errors(server, path, status, words):
    server.status = status
    with pytest.raises(MissingAsset, match=words) as error:
        download(server.url, path)
    assert server.url in str(error.value) and left(path) == []


@pytest.mark.fault
def test_a_part_that_was_not_asked_for(server, path):
    interrupted(server, path)
    server.status, server.headers = 206, {"Content-Range": "bytes 0-9/1024000", "Content-Length": "0"}
    with pytest.raises(MissingAsset, match="another part"):
        download(server.url, path)
    assert not path.exists()


@pytest.mark.fault
@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_redirections_leave_the_web_nowhere(server, path, target):
    server.status, server.headers = 302, {"Location": target}
    with pytest.raises(MissingAsset):
        download(server.url, path)
    assert not path.exists()


def test_redirection_carries_the_range(server, path):
    with Server() as first:
        threading.Thread(target=first.serve_forever, kwargs={"poll_interval": .01}, daemon=True).start()
        first.status, first.headers = 302, {"Location": server.url}
        interrupted(server, path)
        about = path.with_name(".file.bin.part.json")
        about.write_text(about.read_text().replace(server.url, first.url))
        assert download(first.url, path).read_bytes() == DATA
        first.shutdown()
    assert server.log[1] == ("bytes=400000-", '"one"')


@pytest.mark.fault
def test_nobody_listens(path):
    with Server() as server:
        url = server.url
    with pytest.raises(MissingAsset, match="refused"):
        download(url, path)
    assert left(path) == []


@pytest.mark.fault
@pytest.mark.parametrize("url", ["ftp://host/file", "data:,x", "/etc/passwd", "C:/file"])
def test_other_schemes_are_refused(path, url):
    with pytest.raises(BadInput, match="http, https and file"):
        download(url, path)
    assert not path.parent.exists()


def test_files_of_this_machine(tmp_path, path):
    (tmp_path / "there.bin").write_bytes(DATA)
    assert download((tmp_path / "there.bin").as_uri(), path, SHA256).read_bytes() == DATA
    with pytest.raises(MissingAsset, match="nowhere"):
        download((tmp_path / "nowhere.bin").as_uri(), tmp_path / "x")
    assert left(path) == ["file.bin"]


@pytest.mark.fault
def test_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MissingAsset, match="exists"):
        download(server.url, tmp_path / "file" / "file.bin")


def test_two_at_once_download_once(server, path, monkeypatch):
    holding, waiting = threading.Event(), threading.Event()
    fetch = module._fetch

    def slow(*arguments):
        holding.set()
        assert waiting.wait(5)
        fetch(*arguments)

    monkeypatch.setattr(module, "_fetch", slow)
    threads = [threading.Thread(target=download, args=(server.url, path, SHA256)) for _ in range(2)]
    threads[0].start()
    assert holding.wait(5)
    threads[1].start()
    waiting.set()
    for thread in threads:
        thread.join()
    assert len(server.log) == 1 and path.read_bytes() == DATA and left(path) == ["file.bin"]


def test_progress_is_in_bytes(server, path, monkeypatch):
    seen = []

    def track(steps, what):
        seen.append((what, len(steps)))
        return steps

    monkeypatch.setattr(module, "CHUNK", 100_000)
    monkeypatch.setattr(module, "track", track)
    interrupted(server, path)
    download(server.url, path)
    assert seen == [("downloading file.bin, MB", 11), ("downloading file.bin, MB", 7)]


# --- zip files -------------------------------------------------------------------------------------------------------

def archive(path):
    return zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)


def test_one_member_is_taken_whatever_its_folder(tmp_path):
    with archive(tmp_path / "a.zip") as content:
        content.writestr("model/weights.bin", DATA)
        content.writestr("../evil.txt", b"x")
        content.writestr("__MACOSX/._weights.bin", b"x")
    assert take_member(tmp_path / "a.zip", "weights.bin", tmp_path / "out" / "weights.bin").read_bytes() == DATA
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip", "out", "weights.bin"]


@pytest.mark.fault
def test_members_that_are_not_taken(tmp_path):
    with archive(tmp_path / "a.zip") as content:
        for name in ("a/weights.bin", "b/weights.bin", "big.bin"):
            content.writestr(name, DATA)
    with pytest.raises(BadInput, match="a/weights.bin.*b/weights.bin"):
        take_member(tmp_path / "a.zip", "weights.bin", tmp_path / "out")
    with pytest.raises(BadInput, match="found none"):
        take_member(tmp_path / "a.zip", "nothing.bin", tmp_path / "out")
    with pytest.raises(BadInput, match="at most 1,000 bytes"):
        take_member(tmp_path / "a.zip", "big.bin", tmp_path / "out", largest=1000)
    assert not (tmp_path / "out").exists()


@pytest.mark.fault
@pytest.mark.parametrize("cut", [100, 2000, None])
def test_half_a_zip_and_damaged_members(tmp_path, cut):
    with archive(tmp_path / "a.zip") as content:
        content.writestr("weights.bin", DATA)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    if cut is None:
        data[200] ^= 255
    (tmp_path / "a.zip").write_bytes(data[:cut])
    with pytest.raises(BadInput, match="no whole zip file.*get it again"):
        take_member(tmp_path / "a.zip", "weights.bin", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]
