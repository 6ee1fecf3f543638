"""The server of ser web without a browser: recordings, labels, queue, tables, and what it refuses."""

import csv
import io
import re
import subprocess
import sys

import pytest
import soundfile
from web_sounds import CLASSES, RATE_HZ, voice

from zoo.learning.labelling import label_file
from zoo.utils.atomic_files import ASIDE
from zoo.web.project import Project

pytest.importorskip("starlette", reason="ser web needs the extra [web]")
from zoo.web import security

HERE = "http://127.0.0.1:8000"


def rows_of(client, file, rater="anna"):
    answer = client.get(f"/api/recordings/{file}/segments", params={"rater": rater})
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def label(client, row, name, rater="anna"):
    said = {key: row[key] for key in ("start", "end", "channel")} | {"label": name, "rater": rater}
    return client.post(f"/api/recordings/{row['file']}/labels", json=said)


def test_an_upload_is_listed_predicted_and_shown(served, upload, project):
    client = served()
    file = upload(client, "Talk & more <b>.wav")
    listed = client.get("/api/recordings").json()["recordings"]
    assert [(one["name"], one["segments"]) for one in listed] == [("Talk & more <b>.wav", None)]
    assert re.fullmatch(r"Talk-more-b-[0-9a-f]{6}\.wav", file) and (project.audio / file).is_file()
    rows = rows_of(client, file)
    assert [row["emotion"] for row in rows] == ["angry", "neutral"]  # loud, quiet
    assert rows[0]["start"] < 0.4 and 1.5 < rows[0]["end"] <= rows[1]["start"] < 4.5
    view = client.get(f"/api/recordings/{file}/view").json()
    assert view["seconds"] == 8.0 and view["rate_hz"] == RATE_HZ and len(view["peaks"]) == 1
    assert max(high for _, high in view["peaks"][0]) == pytest.approx(0.3, abs=0.01)
    picture = client.get(f"/api/recordings/{file}/spectrogram/0.png")
    assert picture.content.startswith(b"\x89PNG") and picture.headers["content-type"] == "image/png"
    assert client.get(f"/api/recordings/{file}/spectrogram/1.png").status_code == 404
    part = client.get(f"/api/recordings/{file}/audio", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    assert client.get("/api/recordings").json()["recordings"][0]["segments"] == 2


def test_labels_are_those_of_label_py_and_the_last_word_holds(served, upload, project):
    client = served()
    row = rows_of(client, upload(client))[0]
    for name in ("sad", "happy"):
        assert label(client, row, name).status_code == 201
    assert label(client, row, "angry", rater="ben").status_code == 201
    (first, second, third) = label_file.read(project.labels)
    assert (first.label, second.label, third.rater) == ("sad", "happy", "ben")
    assert (first.file, first.start, first.end, first.channel) == (
        f"audio/{row['file']}",
        row["start"],
        row["end"],
        None,
    )
    shown = rows_of(client, row["file"])[0]
    assert shown["label"] == "happy" and shown["votes"] == {"happy": 1, "angry": 1}
    assert rows_of(client, row["file"], rater="ben")[0]["label"] == "angry"
    assert label(client, row, "").status_code == 201  # undo takes back
    assert rows_of(client, row["file"])[0]["votes"] == {"angry": 1}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"label": "hungry"}, "Known: angry"),
        ({"start": -1.0}, "start"),
        ({"end": 99.0}, "expected times within"),
        ({"channel": 3}, "expected a channel"),
        ({"channel": "left"}, "channel: expected"),
        ({"rater": " "}, "rater"),
        ({"rater": "x" * 70_000}, "too large"),
        ({"start": "now"}, "expected a request"),
    ],
)
def test_labels_that_cannot_be_are_refused(served, upload, project, change, word):
    client = served()
    file = upload(client)
    said = {"start": 0.0, "end": 1.0, "channel": "mix", "label": "sad", "rater": "anna", **change}
    answer = client.post(f"/api/recordings/{file}/labels", json=said)
    assert answer.status_code in (400, 413) and word in answer.json()["error"]
    assert not project.labels.exists()


def test_the_queue_begins_with_the_least_certain_and_leaves_out_what_is_labelled(served, upload, tmp_path):
    client = served()
    levels = [0.1, 0.24, 0.4]  # 0.2, 0.48, 0.8 angry, so that the second is the least certain
    file = upload(client, "a.wav", *(voice(2.0, level) for level in levels))
    found = client.get("/api/queue", params={"strategy": "least-certain"}).json()["queue"]
    assert [round(row["start"] / 4) for row in found] == [1, 0, 2] or [round(row["start"] / 4) for row in found] == [
        1,
        2,
        0,
    ]
    certain = [max(row["probabilities"].values()) for row in found]
    assert certain == sorted(certain)
    label(client, found[0], "sad")
    again = client.get("/api/queue", params={"strategy": "least-certain"}).json()["queue"]
    assert [row["start"] for row in again] == [row["start"] for row in found[1:]] and again[0]["file"] == file
    assert "Known" in client.get("/api/queue", params={"strategy": "best"}).json()["error"]
    assert client.get("/api/queue", params={"count": "0"}).status_code == 400


def test_tables_hold_rows_and_labels(served, upload):
    client = served()
    assert client.get("/api/segments.csv").text == client.get("/api/labels.csv").text == ""
    row = rows_of(client, upload(client))[0]
    label(client, row, "sad")
    (first, second) = csv.DictReader(io.StringIO(client.get("/api/segments.csv").text))
    assert (first["emotion"], first["labels"], second["labels"]) == ("angry", "sad: 1", "")
    assert float(first["p_angry"]) == pytest.approx(row["probabilities"]["angry"]) and "level_dbfs" in first
    answer = client.get("/api/labels.csv")
    assert (
        answer.text.splitlines()[1].startswith(f"audio/{row['file']},")
        and "attachment" in answer.headers["content-disposition"]
    )


def test_names_and_speakers_are_kept_and_deleting_keeps_the_labels(served, upload, project):
    client = served()
    file = upload(client)
    row = rows_of(client, file)[0]
    label(client, row, "sad")
    assert client.patch(f"/api/recordings/{file}", json={"speaker": "  Eva \n"}).json()["speaker"] == "Eva"
    assert (
        served().get("/api/recordings").json()["recordings"][0] | {"labels": 1, "speaker": "Eva"}
        == (served().get("/api/recordings").json()["recordings"][0])
    )
    assert client.delete(f"/api/recordings/{file}").status_code == 200
    assert client.get("/api/recordings").json()["recordings"] == []
    assert not list(project.cache.glob(f"*/{file}")) and len(label_file.read(project.labels)) == 1


def test_broken_audio_is_refused_with_the_readers_sentence(served, project, tmp_path):
    client = served()
    soundfile.write(tmp_path / "a.wav", voice(1.0), RATE_HZ)
    whole = (tmp_path / "a.wav").read_bytes()
    for name, content, word in (
        ("empty.wav", b"", "zero bytes"),
        ("page.wav", b"<html>" * 100, "expected WAV"),
        ("cut.wav", whole[: len(whole) // 2], "whole recording"),
        ("short.wav", whole[:44], "expected"),
    ):
        answer = client.post("/api/recordings", params={"name": name}, content=content)
        found = answer.json()["error"]
        assert answer.status_code == 400 and found.startswith(name) and word in found
        assert str(project.folder) not in answer.text
    assert list(project.audio.iterdir()) == []
    (project.audio / "by hand.wav").write_bytes(whole[:100])  # as people put files there
    found = client.get("/api/recordings").json()
    assert found["recordings"] == [] and found["bad"][0]["file"] == "by hand.wav"


def test_uploads_beyond_the_limit_leave_nothing(served, project):
    client = served(most_bytes=1000)
    refused = client.post("/api/recordings", params={"name": "a.wav"}, content=b"x" * 1001)
    assert refused.status_code == 413 and "at most" in refused.json()["error"]

    def parts():  # without a Content-Length
        for _ in range(3):
            yield b"x" * 500

    assert client.post("/api/recordings", params={"name": "a.wav"}, content=parts()).status_code == 413
    assert list(project.audio.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["..%2F..%2Flabels.csv", "%2Fetc%2Fpasswd", "%2e%2e%2frecordings.json", ".hidden", "link.wav", "a%00b.wav"],
)
def test_no_name_leads_out_of_the_audio_folder(served, upload, project, tmp_path, name):
    client = served()
    upload(client)
    (project.audio / ".hidden").write_text("x")
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (project.audio / "link.wav").symlink_to(tmp_path / "secret.wav")
    for path in (f"/api/recordings/{name}/audio", f"/api/recordings/{name}/view", f"/static/{name}", f"/vendor/{name}"):
        answer = client.get(path)
        assert answer.status_code in (400, 404) and "secret" not in answer.text and "root:" not in answer.text
    assert client.delete(f"/api/recordings/{name}").status_code in (404, 405)
    assert (tmp_path / "secret.wav").exists() and (project.audio / ".hidden").exists()


def test_names_of_uploads_become_harmless(served, upload, project):
    client = served()
    for name in ("../../evil.wav", "/etc/passwd", "a\\b.flac", "..", ".wav", "x" * 500 + ".exe"):
        upload(client, name)
    assert all(re.fullmatch(r"[A-Za-z0-9-]+\.(wav|flac)", path.name) for path in project.audio.iterdir())
    assert len(list(project.audio.iterdir())) == 6 and not (project.folder.parent / "evil.wav").exists()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.5", ""]
)
def test_other_hosts_are_refused_against_rebinding(served, host):
    answer = served().get("/api/state", headers={"Host": host})
    assert answer.status_code == 403 and "not called" in answer.json()["error"]
    assert served().get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:9999", "[::1]:8000", "LOCALHOST"])
def test_this_computers_names_are_answered(served, host):
    assert served().get("/api/state", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_requests_of_other_sites_are_refused(served, upload, project, headers):
    client = served()
    file = upload(client)
    for method, path in (
        ("POST", "/api/recordings?name=a.wav"),
        ("DELETE", f"/api/recordings/{file}"),
        ("GET", "/api/state"),
    ):
        answer = client.request(method, path, headers=headers)
        assert answer.status_code == 403 and "another web site" in answer.json()["error"]
    assert len(list(project.audio.iterdir())) == 1
    assert client.get("/api/state", headers={"Origin": HERE}).status_code == 200


def test_the_token_opens_and_nothing_else_does(served):
    token = "a-long-token-of-32-characters-ok"
    client = served("0.0.0.0", token)
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Cookie": f"{security.COOKIE}={token}"},
        {"Authorization": "Bearer "},
    ):
        assert client.get("/api/state", headers=headers).status_code == 401
    assert client.get(f"/api/state?token={token}").status_code == 401  # addresses end up in logs
    assert client.get("/api/recordings/x/audio").status_code == 401
    assert client.get("/").status_code == 200 and token not in client.get("/").text
    assert client.get("/api/state", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert client.post("/api/login", json={"token": "wrong"}).status_code == 403
    answer = client.post("/api/login", json={"token": token})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and token not in cookie
    assert client.get("/api/state").status_code == 200  # with the cookie
    assert served("0.0.0.0", token, address="http://192.168.1.5:8000").get("/").status_code == 200
    assert served("0.0.0.0", token, address="http://evil.example").get("/").status_code == 403
    assert served("0.0.0.0", token, address="http://lab.example", names=["lab.example"]).get("/").status_code == 200


def test_without_a_token_login_is_refused(served):
    assert served().post("/api/login", json={"token": ""}).status_code == 403


def test_answers_carry_a_policy_without_inline_programs(served):
    client = served()
    pages = [client.get(path) for path in security.PAGES]
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "script-src 'self';" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script(?![^>]* src=)|\son\w+=|style=|https?://", page.text)
        for address in re.findall(r'(?:src|href)="(/(?:static|vendor)/[^"]+)"', page.text):
            assert client.get(address).status_code == 200, address
    nonces = [re.search(r"nonce-([^']+)", page.headers["content-security-policy"])[1] for page in pages]
    assert len(set(nonces)) == len(pages) and nonces[1] in pages[1].text


def test_what_a_kill_leaves_half_written_is_cleared_or_left_out(served, upload, project):
    client = served()
    row = rows_of(client, upload(client))[0]
    label(client, row, "sad")
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    half = project.audio / f"{ASIDE}one.0123.{int(dead.stdout)}.wav"
    half.write_bytes(b"RIFF")
    with project.labels.open("a") as file:
        file.write("audio/one.wav,0,1,,hap")  # a line torn by the kill
    again = Project(project.folder)
    assert not half.exists() and len(again.recordings()[0]) == 1
    after = served()
    assert rows_of(after, row["file"])[0]["label"] == "sad"
    assert label(after, row, "happy").status_code == 201
    assert [one.label for one in label_file.read(project.labels)] == ["sad", "happy"]


def test_state_names_model_classes_and_colours(served):
    found = served().get("/api/state").json()
    assert found["classes"] == list(CLASSES) and found["model"]["name"].startswith("attention_blstm_fcn")
    assert set(found["colors"]) == set(CLASSES) and found["rater"] == "anna"
