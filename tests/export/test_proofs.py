"""An export of each front-end passes its proofs, and what is spoilt fails them."""

import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("exports are made by TensorFlow", allow_module_level=True)

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from zoo.errors import UserError
from zoo.export import warmup
from zoo.export.proofs import check, without_keras
from zoo.export.proofs.check import FAILED, PASSED, SKIPPED, Subject
from zoo.serving import graph_audit, saved_model

C_API = Path(__file__).parents[1] / "helpers" / "tensorflow_c_api.py"


@pytest.fixture(scope="module")
def subject(emotion):
    return Subject(saved_model.load(emotion[1]))


@pytest.fixture
def mine(emotion, tmp_path):
    """A copy of an export to spoil."""
    return shutil.copytree(emotion[1], tmp_path / "mine")


def failures(proofs):
    return {proof.name: proof.detail for proof in proofs if proof.status == FAILED}


@pytest.mark.slow
def test_an_export_of_every_front_end_passes(exported, emotion, ratings, functionals):
    """All at once: the start of a process takes longer than its work."""
    cepstral = exported("rnn_mfcc")
    found = check.check([version for _, version in (emotion, ratings, functionals, cepstral)])
    assert [failures(proofs) for proofs in found] == [{}] * 4
    for proofs in found:
        skipped = {proof.name for proof in proofs if proof.status == SKIPPED}
        assert skipped <= {"OpenVINO agrees", "warm-up requests replay"} and len(proofs) == 7


@pytest.mark.slow
@pytest.mark.parametrize("name", ["attention_blstm_fcn", "conv_blstm"])
def test_other_builders_agree_with_their_run(exported, name):
    """conv_bigru's segments are in test_export; the linear models are fitted and exported in test_train_linear."""
    run, version = exported(name)
    assert check._agreement(Subject(saved_model.load(version), run)).status == PASSED


def test_the_run_is_compared_with(emotion, functionals, subject):
    assert check._agreement(replace(subject, run=emotion[0])).status == PASSED
    proof = check._agreement(replace(subject, run=functionals[0]))
    assert proof.status == FAILED and "name its run" in proof.detail


def test_other_answers_are_noticed(subject):
    for difference, status in ((0, PASSED), (2e-5, FAILED), (np.nan, FAILED)):
        found = [{name: value + difference for name, value in answer.items()} for answer in subject.answers]
        assert check._compared(subject, found).status == status
    assert check._compared(subject, "no").detail == "no"
    assert check._compared(subject, [{}] * len(subject.requests)).status == FAILED


def test_operations_of_others_are_noticed(subject, monkeypatch):
    used = graph_audit.operations(subject.exported.folder)
    assert {"MatMul", "Assert", "SaveV2"} <= used
    monkeypatch.setattr(graph_audit, "operations", lambda folder: used | {"Mine"})
    proof = check._stock_operations(subject)
    assert proof.status == FAILED and proof.detail.endswith(": Mine")


def test_every_operation_that_is_let_through_is_tensorflows_own():
    assert all(hasattr(tf.raw_ops, name) for name in graph_audit.OPERATIONS | graph_audit.SAVER_OPERATIONS)


class WritesFiles(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((), tf.string, "text")])
    def write(self, text):
        tf.io.write_file("/nowhere/x", text)
        return {"text": text}


def test_the_scan_finds_a_graph_that_writes_files(tmp_path):
    module = WritesFiles()
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.write})
    proof = check._scan(Subject(SimpleNamespace(folder=tmp_path)))
    assert proof.status == FAILED and "WriteFile" in proof.detail


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
    done = subprocess.run([sys.executable, C_API], input=pickle.dumps(bad + jobs), capture_output=True, check=True)
    damaged, refused, *found = pickle.loads(done.stdout)
    assert isinstance(damaged, str) and "n_samples: expected at least 400" in refused
    for one, answers in zip(subjects, found, strict=True):
        for right, answer in zip(one.answers, answers, strict=True):
            for name, values in zip(sorted(right), answer, strict=True):
                np.testing.assert_allclose(values, right[name], atol=1e-5)


def test_a_graph_that_answers_anything_is_noticed(subject, monkeypatch):
    assert check._refusals(subject).status == PASSED
    monkeypatch.setattr(check, "answer", lambda *_: {})
    assert "NaN: expected an error" in check._refusals(subject).detail


def test_an_error_that_names_no_limit_is_noticed(subject, monkeypatch):
    def answer(*_):
        raise tf.errors.InvalidArgumentError(None, None, "something")

    monkeypatch.setattr(check, "answer", answer)
    assert "found something" in check._refusals(subject).detail


def test_warm_up_requests_are_read_as_a_server_does(mine):
    """The records by TensorFlow's own reader, the requests by tensorflow-serving-api's protocol buffers."""
    prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(mine / warmup.REQUESTS))]
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    assert [log.WhichOneof("log_type") for log in logs] == ["predict_log"] * 2
    request = logs[1].predict_log.request
    assert (request.model_spec.name, request.model_spec.signature_name) == ("fcn", "serving_default")
    assert tf.make_ndarray(request.inputs["waveform"]).shape == (4, 16_000)
    assert tf.make_ndarray(request.inputs["n_samples"]).tolist() == [16_000] * 4


def test_warm_up_requests_that_fail_are_noticed(mine):
    pytest.importorskip("tensorflow_serving")
    signatures = saved_model.load(mine).module.signatures
    assert warmup.replay(mine, signatures) == 2
    short = {"waveform": np.zeros((1, 100), np.float32), "n_samples": np.array([100], np.int32)}
    warmup.write_warmup(mine, [short], model="fcn")
    with pytest.raises(UserError, match="request 1 of signature 'serving_default', which fails"):
        warmup.replay(mine, signatures)
    path = mine / warmup.REQUESTS
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="expected requests that are answered"):
        warmup.replay(mine, signatures)
    path.unlink()
    with pytest.raises(UserError, match="no warm-up requests"):
        warmup.replay(mine, signatures)


def test_without_the_extra_warm_up_is_skipped(subject, monkeypatch):
    monkeypatch.setattr(warmup, "find_spec", lambda _: None)
    proof = check._warmup(subject)
    assert proof.status == SKIPPED and "[serving]" in proof.detail


def test_the_script_prints_a_table_and_its_exit_code_counts(emotion, mine, monkeypatch, script):
    """Without the proof that starts a process, which test_an_export_of_every_front_end_passes has."""
    (mine / warmup.REQUESTS).unlink(missing_ok=True)
    none = [check.Proof("in another process", SKIPPED, "not started")] * 2
    monkeypatch.setattr(check, "_without_keras", lambda _: none)
    code, printed, _ = script("serve_check.py", emotion[1], mine)
    assert code == int(warmup.available()) and ("failed" in printed) == warmup.available()
    assert printed.count("replay") == printed.count("not started") == 2
    assert "own binary was not available here" in " ".join(printed.split())


def test_the_script_refuses_what_is_no_export(script):
    code, _, said = script("serve_check.py", "nowhere")
    assert code == 2 and "nowhere: expected an exported model" in said
