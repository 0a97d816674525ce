"""What goes over the line: a server on this machine that understands one request, and keeps all of them."""
import gzip
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.tracking import offline_run
from tests.tracking.offline_run import OWNER, SECRETS

ROOT = Path(__file__).parents[2]
PROJECT = {"id": "p", "name": "mammi", "entity": {"id": "e", "name": "someone"}}
BUCKET = {"id": "b", "name": "b", "displayName": "b", "config": "{}", "historyLineCount": 0, "project": PROJECT}


@pytest.fixture
def server():
    """(address, [(headers, body) as texts] of what was asked so far)."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            asked.append((str(self.headers), body.decode(errors="replace")))
            data = {"upsertBucket": {"bucket": BUCKET, "inserted": True}} if b"upsertBucket" in body else {}
            answer = json.dumps({"data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PUT = do_POST

        def log_message(self, *_):
            """Nothing on the terminal."""

    there = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=there.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{there.server_port}", asked
    there.shutdown()
    there.server_close()


def test_no_request_names_person_machine_program_or_path(server, tmp_path):
    address, asked = server
    folder = offline_run.folder(tmp_path / "run")
    told = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    told |= {"WANDB_USERNAME": OWNER, "WANDB_USER_EMAIL": f"{OWNER}@here.invalid", "WANDB_HOST": OWNER,
             "WANDB_PROGRAM": f"{OWNER}.py", "WANDB_NOTES": OWNER, "WANDB_NAME": OWNER}
    subprocess.run([sys.executable, "-m", "mammi", "mirror", str(folder), "--mode=online"], cwd=ROOT, timeout=90,
                   capture_output=True, env={**told, "WANDB_API_KEY": "k" * 40, "WANDB_BASE_URL": address})
    begun = next(json.loads(body)["variables"] for _, body in asked if "upsertBucket" in body)
    assert begun["displayName"] == "exam selection.alpha=0.9 concept_set=wordnet" and begun["tags"] == ["real"]
    assert [begun[key] for key in ("host", "program", "repo", "commit")] == [None] * 4
    everything = "".join(header + body for header, body in asked)
    assert [text for text in (*SECRETS, str(tmp_path), str(ROOT), sys.executable) if text in everything] == []
