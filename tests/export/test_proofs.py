"""Every network's export passes its proofs, and what is spoilt fails them."""

import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import tiny_rows
from quick_check import checked_with

if keras.backend.backend() != "tensorflow":
    pytest.skip("exports are made by TensorFlow", allow_module_level=True)

import tensorflow as tf

from zoo.errors import UserError
from zoo.export import warmup
from zoo.export.export import export
from zoo.export.proofs import check, processes
from zoo.export.proofs.check import FAILED, PASSED, SKIPPED, Subject
from zoo.serving import saved_model

QUICK = ("fcn", "lstm_drnn")  # what the other tests need
# With these, one of every builder; export.py compares every network with its run itself.
OTHERS = ("attention_blstm_fcn", "rnn_mfcc", "conv_lstm", "conv_bigru", "conv_blstm")


@pytest.fixture(scope="module", autouse=True)
def quick_check():
    """The check before publishing is test_export's matter."""
    with checked_with((0.0,)):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("serve")


def exported(folder, name):
    """A row's tiny run, and its export with warm-up requests."""
    run = tiny_rows.make(folder / "runs" / name, name)
    version = export(run, folder / "out" / name)
    if warmup.available():
        warmup.write_warmup(version, warmup.requests_for(saved_model.read_description(version)), model=name)
    return run, version


@pytest.fixture(scope="module")
def quick(folder):
    return {name: exported(folder, name) for name in QUICK}


@pytest.fixture(scope="module")
def fcn(quick):
    return quick["fcn"]


@pytest.fixture
def mine(fcn, tmp_path):
    """A copy of an export to spoil."""
    return shutil.copytree(fcn[1], tmp_path / "mine")


def held(proofs):
    return {proof.name: proof.detail for proof in proofs if proof.status == FAILED}


@pytest.mark.slow
def test_every_builder_passes(folder, quick):
    """All at once: the start of a process takes longer than its work."""
    exports = {name: exported(folder, name)[1] for name in OTHERS} | {name: quick[name][1] for name in QUICK}
    found = dict(zip(exports, check.check(list(exports.values())), strict=True))
    assert {name: failures for name, proofs in found.items() if (failures := held(proofs))} == {}
    for proofs in found.values():
        assert {proof.name for proof in proofs if proof.status == SKIPPED} <= {
            "OpenVINO agrees",
            "warm-up requests replay",
        }
        assert len(proofs) == 8


def test_the_run_is_compared_with(fcn, quick, tmp_path):
    subject = Subject(saved_model.load(fcn[1]), fcn[0])
    assert check._agreement(subject).status == PASSED
    other = replace(subject, run=quick["lstm_drnn"][0])
    proof = check._agreement(other)
    assert proof.status == FAILED and "name its run" in proof.detail


def off_by(outcome, difference):
    answers = [{name: value + difference for name, value in answer.items()} for answer in outcome.answers]
    return replace(outcome, answers=tuple(answers))


def test_other_answers_are_noticed(fcn):
    subject = Subject(saved_model.load(fcn[1]))
    right = processes.Outcome(tuple(subject.answers))
    for difference, status in ((0, PASSED), (2e-5, FAILED), (np.nan, FAILED)):
        assert check._compared("x", "", subject, off_by(right, difference)).status == status
    assert check._compared("x", "", subject, processes.Outcome((), error="no")).detail == "no"
    absent = processes.Outcome(tuple({} for _ in subject.requests))
    assert check._compared("x", "", subject, absent).status == FAILED


def test_operations_of_others_are_noticed(fcn):
    subject = Subject(saved_model.load(fcn[1]))
    used = check.operations_of(fcn[1])
    assert {"MatMul", "Assert", "SaveV2"} <= used
    assert check._stock("x", subject, used).status == PASSED
    proof = check._stock("x", subject, used - {"MatMul"})
    assert proof.status == FAILED and proof.detail.endswith(": MatMul")


class WritesFiles(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((), tf.string, "text")])
    def write(self, text):
        tf.io.write_file("/nowhere/x", text)
        return {"text": text}


def test_processes_say_what_they_found(tmp_path, fcn):
    """A graph that writes files is scanned, one that is damaged is loaded by the C API; the other one still answers."""
    module = WritesFiles()
    tf.saved_model.save(module, str(tmp_path / "writes"), signatures={"serving_default": module.write})
    outcomes, _ = processes.ask("scan", [(tmp_path / "writes", []), (fcn[1], [])])
    assert "contains the following denylisted ops" in outcomes[0].text and "WriteFile" in outcomes[0].text
    assert "does not contain" in outcomes[1].text
    damaged = shutil.copytree(fcn[1], tmp_path / "damaged")
    (damaged / "saved_model.pb").write_bytes(b"\xff\xff")
    requests = Subject(saved_model.load(fcn[1])).requests
    bad = replace(requests[0], inputs={**requests[0].inputs, "n_samples": np.array([399], np.int32)})
    assert requests[0].signature == "serving_default"
    outcomes, operations = processes.ask("c-api", [(damaged, requests), (fcn[1], requests), (fcn[1], [bad])])
    assert "RuntimeError" in outcomes[0].error and not outcomes[1].error and len(outcomes[1].answers) == len(requests)
    assert "n_samples: expected at least 400" in outcomes[2].error
    assert {"MatMul", "VarHandleOp"} <= check._names_of(operations)


def test_a_graph_that_answers_anything_is_noticed(fcn, monkeypatch):
    subject = Subject(saved_model.load(fcn[1]))
    assert check._refusals(subject).status == PASSED
    monkeypatch.setattr(check, "answer", lambda *_: {})
    assert "NaN: expected an error" in check._refusals(subject).detail


def test_an_error_that_names_no_limit_is_noticed(fcn, monkeypatch):
    def answer(*_):
        raise tf.errors.InvalidArgumentError(None, None, "something")

    subject = Subject(saved_model.load(fcn[1]))
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
    warmup.write_warmup(mine, [short])
    with pytest.raises(UserError, match="request 1 of signature 'serving_default', which fails"):
        warmup.replay(mine, signatures)
    path = mine / warmup.REQUESTS
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="expected requests that are answered"):
        warmup.replay(mine, signatures)
    path.unlink()
    with pytest.raises(UserError, match="no warm-up requests"):
        warmup.replay(mine, signatures)
    with pytest.raises(UserError, match="expected 1 to 1000 requests, found 0"):
        warmup.write_warmup(mine, [])


def test_without_the_extra_warm_up_is_skipped(fcn, monkeypatch):
    monkeypatch.setattr(warmup, "find_spec", lambda _: None)
    proof = check._warmup(Subject(saved_model.load(fcn[1])))
    assert proof.status == SKIPPED and "[serving]" in proof.detail


def test_the_script_prints_a_table_and_its_exit_code_counts(fcn, mine, monkeypatch, script):
    """Without the proofs that start processes; test_every_builder_passes is of all."""
    (mine / warmup.REQUESTS).unlink(missing_ok=True)
    none = [check.Proof("in another process", SKIPPED, "not started")] * 2
    for name, proofs in (("_without_keras", none), ("_by_c_api", (none, none)), ("_scan", none)):
        monkeypatch.setattr(check, name, lambda _, proofs=proofs: proofs)
    code, printed, _ = script("serve_check.py", fcn[1], mine)
    assert code == int(warmup.available()) and ("failed" in printed) == warmup.available()
    assert (
        printed.count("replay") == 2
        and printed.count("not started") == 8
        and "own binary was not available here" in " ".join(printed.split())
    )


def test_the_script_refuses_what_is_no_export(script):
    code, _, said = script("serve_check.py", "nowhere")
    assert code == 2 and "nowhere: expected an exported model" in said
