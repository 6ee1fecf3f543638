"""An export of each front-end passes its proofs, and what is spoilt fails them."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from zoo.errors import UserError
from zoo.export import warmup
from zoo.export.proofs import arrays_as_json, check, without_keras
from zoo.export.proofs.check import FAILED, SKIPPED, Subject
from zoo.serving import graph_audit, saved_model

C_API = Path(__file__).parents[1] / "helpers" / "tensorflow_c_api.py"


@pytest.fixture(scope="module")
def subject(emotion):
    return Subject(saved_model.load(emotion[1]))


@pytest.fixture
def mine(emotion, tmp_path):
    """A copy of an export to spoil."""
    return shutil.copytree(emotion[1], tmp_path / "mine")


@pytest.mark.slow
def test_an_export_of_every_front_end_passes(exported, emotion, ratings, functionals):
    """All at once: the start of a process takes longer than its work."""
    cepstral = exported("rnn_mfcc")
    for proofs in check.check([version for _, version in (emotion, ratings, functionals, cepstral)]):
        assert [proof for proof in proofs if proof.status == FAILED] == [] and len(proofs) == 7
        skipped = {proof.name for proof in proofs if proof.status == SKIPPED}
        assert skipped <= {"OpenVINO agrees", "warm-up requests replay"}


def test_the_run_is_compared_with(emotion, functionals):
    subject = Subject(saved_model.load(emotion[1]), emotion[0])
    assert "every signature" in check._agreement(subject)
    subject.run = functionals[0]
    with pytest.raises(UserError, match="name its run"):
        check._agreement(subject)


def test_other_answers_are_noticed(subject):
    subject.elsewhere = subject.answers
    assert "largest difference 0.0e+00" in check._without_keras(subject)
    for spoil in (lambda values: values + 2e-5, lambda values: values * np.nan, lambda values: values[:0]):
        subject.elsewhere = [{name: spoil(value) for name, value in one.items()} for one in subject.answers]
        with pytest.raises(UserError, match=r"largest difference (2.0e-05|inf)"):
            check._without_keras(subject)
    subject.elsewhere = "exit code 1"
    assert check._proof("it", check._without_keras, subject) == check.Proof("it", FAILED, "exit code 1")


def test_operations_of_others_are_noticed(subject, monkeypatch):
    used = graph_audit.operations(subject.exported.folder)
    assert {"MatMul", "Assert", "SaveV2"} <= used
    monkeypatch.setattr(graph_audit, "operations", lambda folder: used | {"Mine"})
    with pytest.raises(UserError, match="own: Mine"):
        check._stock_operations(subject)


def test_every_operation_that_is_let_through_is_tensorflows_own():
    assert all(hasattr(tf.raw_ops, name) for name in graph_audit.OPERATIONS | graph_audit.SAVER_OPERATIONS)


def test_the_scan_finds_a_graph_that_writes_files(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec((), tf.string, "text")])
    def write(text):
        tf.io.write_file("/nowhere/x", text)
        return {"text": text}

    tf.saved_model.save(tf.Module(), str(tmp_path), signatures={"serving_default": write})
    with pytest.raises(UserError, match="WriteFile"):
        check._scan(SimpleNamespace(exported=SimpleNamespace(folder=tmp_path)))


def test_json_keeps_arrays_and_bytes():
    """Bytes with zeros at their end, shapes without elements, and types."""
    files, empty = [b"RIFF\x00\xff\x00", b""], np.zeros((0, 3), np.int32)
    back = arrays_as_json.loads(arrays_as_json.dumps({"files": files, "empty": empty, "path": Path("a")}))
    assert back["files"] == files and back["path"] == "a"
    assert back["empty"].shape == (0, 3) and back["empty"].dtype == np.int32
    with pytest.raises(ValueError, match="allow_pickle"):
        arrays_as_json.dumps([np.array([None])])


def test_an_export_that_fails_in_the_other_process_is_an_outcome(mine, subject):
    (mine / "saved_model.pb").write_bytes(b"\xff\xff")
    assert "Error" in without_keras._outcome(mine, subject.requests)


def by_tensor_name(folder, signature, inputs):
    """A request with the names of the graph's tensors, and those of its outputs."""
    graph = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]
    names = graph.signature_def[signature]
    feeds = {names.inputs[key].name: value for key, value in inputs.items()}
    return feeds, [names.outputs[key].name for key in sorted(names.outputs)]


@pytest.mark.slow
def test_the_c_library_answers_without_python(mine, subject, emotion, ratings, functionals):
    """What a model server runs. A damaged export and a refused request do not disturb the others."""
    subjects = [subject, *(Subject(saved_model.load(version)) for _, version in (ratings, functionals))]
    jobs = [
        (one.exported.folder, [by_tensor_name(one.exported.folder, *request) for request in one.requests])
        for one in subjects
    ]
    short = {**subject.requests[0][1], "n_samples": np.array([399], np.int32)}
    (mine / "saved_model.pb").write_bytes(b"\xff\xff")
    bad = [(mine, jobs[0][1]), (emotion[1], [by_tensor_name(emotion[1], "serving_default", short)])]
    done = subprocess.run(
        [sys.executable, C_API], input=arrays_as_json.dumps(bad + jobs), capture_output=True, check=True
    )
    damaged, refused, *found = arrays_as_json.loads(done.stdout)
    assert isinstance(damaged, str) and "n_samples: expected at least 400" in refused
    for one, answers in zip(subjects, found, strict=True):
        for right, answer in zip(one.answers, answers, strict=True):
            for name, values in zip(sorted(right), answer, strict=True):
                np.testing.assert_allclose(values, right[name], atol=1e-5)


def test_a_graph_that_answers_anything_or_names_no_limit_is_noticed(subject, monkeypatch):
    def refuse(*_):
        raise tf.errors.InvalidArgumentError(None, None, "something")

    assert "each error names its limit" in check._refusals(subject)
    for answer, found in ((lambda *_: {}, "NaN: expected an error"), (refuse, "found something")):
        monkeypatch.setattr(check, "answer", answer)
        with pytest.raises(UserError, match=found):
            check._refusals(subject)


def test_warm_up_requests_are_read_as_a_server_does(mine):
    """The records by TensorFlow's own reader, the requests by tensorflow-serving-api's protocol buffers."""
    prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    records = tf.data.TFRecordDataset(str(mine / warmup.REQUESTS)).as_numpy_iterator()
    logs = list(map(prediction_log_pb2.PredictionLog.FromString, records))
    assert [log.WhichOneof("log_type") for log in logs] == ["predict_log"] * 2
    request = logs[1].predict_log.request
    assert (request.model_spec.name, request.model_spec.signature_name) == ("fcn", "serving_default")
    assert tf.make_ndarray(request.inputs["waveform"]).shape == (4, 16_000)
    assert tf.make_ndarray(request.inputs["n_samples"]).tolist() == [16_000] * 4


def test_warm_up_requests_that_fail_are_noticed(mine):
    pytest.importorskip("tensorflow_serving")
    signatures, path = saved_model.load(mine).module.signatures, mine / warmup.REQUESTS
    assert warmup.replay(mine, signatures) == 2
    short = {"waveform": np.zeros((1, 100), np.float32), "n_samples": np.array([100], np.int32)}
    for spoil, found in (
        (lambda: warmup.write_warmup(mine, [short], "fcn"), "request 1 of signature 'serving_default', which fails"),
        (lambda: path.write_bytes(path.read_bytes()[:-5]), "expected requests that are answered"),
        (path.unlink, "no warm-up requests"),
    ):
        spoil()
        with pytest.raises(UserError, match=found):
            warmup.replay(mine, signatures)


def test_without_the_extra_warm_up_is_skipped(subject, monkeypatch):
    monkeypatch.setattr(warmup, "find_spec", lambda _: None)
    proof = check._proof("replay", check._warmup, subject)
    assert proof.status == SKIPPED and "[serving]" in proof.detail


def test_the_script_prints_a_table_and_its_exit_code_counts(mine, monkeypatch, script):
    """Without the process, which test_an_export_of_every_front_end_passes has."""
    shutil.rmtree(mine / "assets.extra", ignore_errors=True)
    monkeypatch.setattr(without_keras, "outcomes", lambda _: ["not started"])
    code, printed, _ = script("serve_check.py", mine)
    assert code == 1 and printed.count("replay") == printed.count("not started") == 1
    assert printed.count("failed") == 1 + warmup.available()
    assert "own binary was not available here" in " ".join(printed.split())


def test_the_script_refuses_what_is_no_export(script):
    code, _, said = script("serve_check.py", "nowhere")
    assert code == 2 and "nowhere: expected an exported model" in said
