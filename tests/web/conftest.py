"""A project in a temporary folder, and a server of it in this process whose model is one of a few lines."""

import pytest
from web_sounds import CLASSES, RATE_HZ, loudness, voice, wav

from zoo.inference.predictor import Predictor

MODEL = "attention_blstm_fcn-ravdess"


@pytest.fixture
def project(tmp_path, monkeypatch):
    from zoo.web import models
    from zoo.web.project import Project

    predictor = Predictor(CLASSES, "nothing", RATE_HZ, 0.025, 60.0, loudness)
    monkeypatch.setattr(models, "open_predictor", lambda *_: predictor)
    return Project(tmp_path / "project")


@pytest.fixture
def served(project):
    """Makes a client of a server of the project, as a browser on this computer would speak to it."""
    testclient = pytest.importorskip("starlette.testclient", reason="ser web needs the extra [web]")
    from zoo.web.api import Api
    from zoo.web.app import application
    from zoo.web.models import Models
    from zoo.web.training import Trainings

    def client(host="127.0.0.1", token="", most_bytes=10**7, address="http://127.0.0.1:8000", names=()):
        models = Models(project, MODEL)
        api = Api(project, models, Trainings(project, models), "anna", token, most_bytes)
        return testclient.TestClient(application(api, host, names), base_url=address)

    return client


@pytest.fixture
def upload(tmp_path):
    """Uploads a recording by a client; returns its file name."""

    def add(client, name="one.wav", *parts):
        content = wav(tmp_path / "upload.wav", *(parts or (voice(2.0), voice(2.0, 0.1, 1))))
        answer = client.post("/api/recordings", params={"name": name}, content=content)
        assert answer.status_code == 201, answer.text
        return answer.json()["file"]

    return add
