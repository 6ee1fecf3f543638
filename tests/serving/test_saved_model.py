"""Exports load and predict without Keras, and what was made to harm is not loaded at all."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
import soundfile
import tiny_runs
from quick_check import checked_with

if keras.backend.backend() != "tensorflow":
    pytest.skip("exports are made by TensorFlow", allow_module_level=True)

import tensorflow as tf
from predictions import predict_run
from tensorflow.core.protobuf import saved_model_pb2

from zoo.data.audio.recording import BadClip
from zoo.errors import UserError
from zoo.export.export import export
from zoo.inference.export_predictor import of_export
from zoo.inference.stream_model import of_export as stream_of_export
from zoo.runs.model_file import load_model
from zoo.serving import graph_audit, saved_model
from zoo.serving.description import DESCRIPTION, check_files
from zoo.serving.graph_sizes import huge_tensor

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def emotion(tmp_path_factory):
    """A run and its export, whose probabilities are left as they are."""
    folder = tmp_path_factory.mktemp("saved")
    run = tiny_runs.make(folder / "run", "fcn", "iemocap")
    with checked_with():  # test_export is of the check before publishing
        return run, export(run, folder / "out")


@pytest.fixture
def mine(emotion, tmp_path):
    """A copy of an export to spoil."""
    return shutil.copytree(emotion[1], tmp_path / "mine")


def test_waveforms_are_numbered_and_bad_ones_reported(emotion):
    model = of_export(saved_model.load(emotion[1]))
    good = np.random.default_rng(0).normal(0, 0.1, 8_000)
    bad: list[BadClip] = []
    clips = [good, np.full(8_000, np.nan), good[:100], good[:0], np.zeros(61 * 16_000), good]
    found = list(model.predict(clips, bad.append))
    assert [row["file"] for row in found] == ["#0", "#5"] and found[0]["probabilities"] == found[1]["probabilities"]
    assert [str(one.path) for one in bad] == ["#1", "#2", "#3", "#4"]
    assert [one.kind for one in bad] == ["non-finite", "too-short", "empty", "too-long"]
    with pytest.raises(BadClip, match="#0: expected a longer clip"):
        list(model.predict([good[:100]]))
    with pytest.raises(UserError, match="expected samples"):
        list(model.predict([np.zeros((9, 8_000))]))


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        (lambda right: np.where(np.arange(len(right))[:, None] == 1, np.nan, right), "NaN or infinite"),
        (lambda right: right[:-1], "outputs for 1 recordings"),
        (lambda right: np.concatenate([right, right]), "outputs for 1 recordings"),
        (lambda right: right[:, :-1], r"the shape \(3,\) instead of \(4,\)"),
        (lambda right: right[:, None], r"the shape \(1, 4\)"),
    ],
)
def test_outputs_that_are_no_probabilities_become_no_class(emotion, outputs, found):
    """NaN for one clip of a batch leaves the others theirs."""
    exported = saved_model.load(emotion[1])
    own = exported.module.signatures["serving_default"]

    def spoilt(**request):
        return {"probabilities": tf.constant(outputs(own(**request)["probabilities"].numpy()))}

    broken = replace(exported, loaded=SimpleNamespace(signatures={"serving_default": spoilt}))
    bad: list[BadClip] = []
    clips = [np.random.default_rng(n).normal(0, 0.1, 8_000) for n in range(3)]
    rows = list(of_export(broken).predict(clips, bad.append))
    assert len(rows) + len(bad) == 3 and len(rows) == (2 if "NaN" in found else 0)
    assert {error.kind for error in bad} == {"undefined"} and all(re.search(found, str(error)) for error in bad)


def test_a_clip_that_the_graph_refuses_does_not_lose_its_batch(emotion):
    """By a rule of the graph that files do not have: here, of a peak of 0.9."""
    exported = saved_model.load(emotion[1])
    own = exported.module.signatures["serving_default"]

    def strict(waveform, n_samples):
        tf.debugging.Assert(tf.reduce_all(waveform < 0.9), ["waveform: too near to 1"])
        return own(waveform=waveform, n_samples=n_samples)

    broken = replace(exported, loaded=SimpleNamespace(signatures={"serving_default": strict}))
    bad: list[BadClip] = []
    good = np.sin(np.arange(8_000)) / 2
    rows = list(of_export(broken).predict([good, 2 * good, good[:4_000]], bad.append))
    assert [row["file"] for row in rows] == ["#0", "#2"]
    assert "waveform: too near to 1" in str(bad[0]) and str(bad[0].path) == "#1"


@pytest.mark.parametrize("counts", [[], [25, 25]])
def test_ratings_of_another_number_than_recordings_become_none(counts):
    outputs = {"arousal_valence": tf.zeros((2, 25, 2)), "n_frames": tf.constant(counts, tf.int32)}
    module = SimpleNamespace(signatures={"serving_default": lambda **request: outputs})
    description = json.loads((ROOT / "saved_models/conv_lstm-standin/1" / DESCRIPTION).read_text())
    request = {"waveform": np.ones((1, 16_000), np.float32), "n_samples": np.array([16_000], np.int32)}
    found = saved_model.Exported(ROOT, description, module).run_each("serving_default", **request)
    assert found == [f"{len(counts)} outputs for 1 recordings"]


def test_the_newest_version_is_taken(emotion, tmp_path):
    for number in (2, 10, 9):
        shutil.copytree(emotion[1], tmp_path / str(number))
    (tmp_path / ".writing-11").mkdir()
    assert saved_model.load(tmp_path).folder == tmp_path / "10"
    with pytest.raises(UserError, match=r"neither saved_model.pb nor a numbered version"):
        saved_model.load(tmp_path / ".writing-11")
    with pytest.raises(UserError, match="no such folder"):
        saved_model.load(tmp_path / "nowhere")


ALONE = """
import sys
for name in ("keras", "tf_keras", "librosa", "sklearn"):
    sys.modules[name] = None
from zoo.inference.open_predictor import open_predictor
print(list(open_predictor(sys.argv[1], exported=True).predict(sys.argv[2:])))
"""


def test_without_keras_files_get_what_the_run_says(emotion, tmp_path, rng):
    paths = [tmp_path / f"{number}.wav" for number in range(4)]
    for path, seconds in zip(paths, (0.5, 2.0, 0.03, 1.1), strict=True):
        soundfile.write(path, rng.normal(0, 0.1, round(seconds * 22_050)), 22_050)
    command = [sys.executable, "-c", ALONE, emotion[1].parent, *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for one, expected in zip(eval(done.stdout), predict_run(emotion[0], paths), strict=True):
        assert one | {"probabilities": 0} == expected | {"probabilities": 0}
        assert one["probabilities"] == pytest.approx(expected["probabilities"], abs=1.1e-5)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("saved_model.pb", None, "neither saved_model.pb nor a numbered version"),
        ("saved_model.pb", b"", "0 graphs"),
        ("saved_model.pb", b"\xff" * 300, "a file that is no SavedModel"),
        ("variables/variables.index", None, "found no such file"),
        ("variables/variables.data-00000-of-00001", None, "no such file in the export"),
        ("variables/variables.data-00000-of-00001", b"other", "other contents than when it was exported"),
        ("assets/description.json", None, "No such file"),
        ("assets/description.json", b"{", "expected a model as scripts/export.py writes it"),
        ("assets/description.json", b"[]", "expected a model as scripts/export.py writes it"),
        ("assets/description.json", b'{"format": 2}', "expected format 1, found 2"),
        ("assets/description.json", b'{"format": 1}', "without model, task"),
        ("assets/description.json", b'{"format": true}', "expected format 1, found True"),
        ("assets/description.json", b"[" * 100_000, "recursion"),
        ("assets/description.json", b'{"format": 1' + b"0" * 9_999 + b"}", "Exceeds the limit"),
        ("assets/description.json", b"\xff\xfe", "codec can't decode"),
        ("assets/classes.txt", None, "No such file"),
        ("assets/classes.txt", b"sad\nneutral\nangry\nhappy\n", "where description.json has"),
    ],
)
def test_damaged_exports_are_refused(mine, name, content, message):
    (mine / name).unlink()
    if content is not None:
        (mine / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        saved_model.load(mine)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "variables/../../secret", "a\0b", ".", ""])
def test_a_description_cannot_name_files_elsewhere(mine, tmp_path, name):
    (tmp_path / "secret").write_text("x")
    described = json.loads((mine / DESCRIPTION).read_text())
    described["files"][name] = sha256(b"x").hexdigest()
    (mine / DESCRIPTION).write_text(json.dumps(described))
    with pytest.raises(UserError, match="no such file in the export"):
        saved_model.load(mine)


JSON_VALUES = (None, True, 0, -1, 1.5, 10**400, float("nan"), "", "x", [], {}, [1], ["x", "x"], {"x": 1}, [[]] * 3)


def loaded(folder, described):
    """What a program makes of a description before it runs the graph."""
    (folder / DESCRIPTION).write_text(json.dumps(described))
    read = saved_model.read_description(folder)
    check_files(folder, read["files"])
    exported = saved_model.Exported(folder, read, None)
    return of_export(exported).outputs, stream_of_export(exported)


@pytest.mark.parametrize("name", ["attention_blstm_fcn-ravdess", "conv_lstm-standin"])
def test_any_value_of_a_description_is_used_or_refused_in_words(tmp_path, name):
    """Each key in turn gets a value of each type of JSON, or is absent; inside of mappings, too."""
    folder = tmp_path / "mine"
    shutil.copytree(ROOT / "saved_models" / name / "1" / "assets", folder / "assets")
    (folder / "variables").mkdir()
    right = json.loads((folder / DESCRIPTION).read_text())
    for file in right["files"]:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text("x")
    right["files"] = dict.fromkeys(right["files"], sha256(b"x").hexdigest())
    loaded(folder, right)
    kept = set()
    for key in right:
        inner = [name for name in right[key] if key != "metrics"] if isinstance(right[key], dict) else []
        for change in (*JSON_VALUES, "absent", *((name, value) for name in inner for value in JSON_VALUES[::3])):
            wrong = dict(right)
            if change == "absent":
                del wrong[key]
            else:
                wrong[key] = {**right[key], change[0]: change[1]} if isinstance(change, tuple) else change
            try:
                loaded(folder, wrong)
                kept.add((key, str(change)[:20]))
            except UserError as error:
                assert str(folder) in str(error)
    needed = {"format", "model", "task", "rate_hz", "shortest", "lengths_in", "signatures", "files", "trained_on"}
    for key in needed:
        assert (key, "absent") not in kept and (key, "[]") not in kept and (key, "None") not in kept
    assert ("trained_on", "x") in kept and ("files", "{}") not in kept


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"classes": ["happy", "neutral", "sad", "angry"]}, "where description.json has"),
        ({"classes": ["neutral"] * 4}, "in place of different names"),
        ({"classes": ["neutral", "happy", "sad"]}, r"3 names for outputs of the shape \[None, 4\]"),
        ({"rate_hz": 8_000}, "a front-end at another rate"),
        ({"longest": 100}, "longest below shortest"),
        ({"lengths_in": "rows"}, "lengths in rows"),
        ({"task": "continuous"}, "without dimensions"),
        ({"stream": {"before_frames": 0, "after_frames": 0}}, "a stream without its signature"),
    ],
)
def test_values_that_contradict_each_other_are_noticed(mine, changes, found):
    described = json.loads((mine / DESCRIPTION).read_text())
    (mine / DESCRIPTION).write_text(json.dumps({**described, **changes}))
    with pytest.raises(UserError, match=found):
        saved_model.load(mine)


def test_signatures_are_those_of_the_graph(mine):
    described = json.loads((mine / DESCRIPTION).read_text())
    described["signatures"]["features"]["inputs"]["features"]["shape"][-1] = 41
    (mine / DESCRIPTION).write_text(json.dumps(described))
    with pytest.raises(UserError, match=r"the signature features with .*described as"):
        saved_model.load(mine)


@pytest.mark.parametrize("name", ["assets/classes.txt", "variables/variables.index", "assets.extra", "saved_model.pb"])
def test_links_out_of_the_folder_are_refused(mine, tmp_path, name):
    (tmp_path / "elsewhere").write_text("x")
    if (mine / name).is_dir():
        shutil.rmtree(mine / name)
    (mine / name).unlink(missing_ok=True)
    (mine / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"leads out of its folder"):
        saved_model.load(mine)


def own_file_name(meta):
    """The saver's functions are given a name from the graph."""
    name = meta.saver_def.filename_tensor_name.partition(":")[0]
    node = meta.graph_def.node.add(name="mine", op="Const")
    node.attr["dtype"].type = node.attr["value"].tensor.dtype = tf.string.as_datatype_enum
    node.attr["value"].tensor.string_val.append(b"/tmp/never")
    node.attr["value"].tensor.tensor_shape.SetInParent()
    for other in meta.graph_def.node:
        if list(other.input[:1]) == [name]:
            other.input[0] = "mine"


def own_text(meta):
    """A name stands in the saver's own function."""
    for function in meta.graph_def.library.function:
        for node in function.node_def:
            if list(node.attr["value"].tensor.string_val) == [b".part"]:
                node.attr["value"].tensor.string_val[0] = b"/tmp/never"


def called_elsewhere(meta):
    """Another node calls a saver's function."""
    copy = meta.graph_def.node.add()
    copy.CopyFrom(next(node for node in meta.graph_def.node if node.name == meta.saver_def.restore_op_name))
    copy.name = "again"


def exposed(meta):
    """A saver's function is among those that anyone may call."""
    restore = (node for node in meta.graph_def.node if node.name == meta.saver_def.restore_op_name)
    meta.object_graph_def.concrete_functions[min(graph_audit.called(restore))].SetInParent()


def huge_fill(meta):
    graph = tf.Graph()
    with graph.as_default():
        HUGE["Fill"](None)
    meta.graph_def.node.extend(graph.as_graph_def().node)


def huge_constant(meta):
    constant = meta.graph_def.node.add(name="huge", op="Const")
    for _ in range(2):
        constant.attr["value"].tensor.tensor_shape.dim.add(size=1 << 20)


def with_operation(operation, inside):
    """Another node in the graph, or in a function that is not the saver's."""

    def change(meta):
        own = next(one for one in meta.graph_def.library.function if "of_features" in one.signature.name)
        (own.node_def if inside else meta.graph_def.node).add(name="mine", op=operation)

    return change


HARM = ("WriteFile", "ReadFile", "EagerPyFunc", "PyFunc", "PrintV2", "SaveV2", "RestoreV2")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        *((with_operation(name, inside), f"the operation {name} .*not loaded") for name in HARM for inside in (0, 1)),
        (lambda meta: meta.ClearField("object_graph_def"), "without its objects"),
        (own_file_name, "a call of the saver's function"),
        (own_text, "a text of its own"),
        (called_elsewhere, "a call of the saver's function"),
        (exposed, "which reads or writes files, to be called by anyone"),
        (huge_fill, r"a tensor of 1e\+10 elements \(Fill\)"),
        (huge_constant, r"a tensor of 1099511627776 elements \(huge\)"),
    ],
)
def test_graphs_that_were_changed_are_refused(mine, change, found):
    path = mine / "saved_model.pb"
    graph = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    change(graph.meta_graphs[0])
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(UserError, match=found):
        saved_model.load(mine)


def scalar(value):
    return tf.constant(value, tf.int64)


BIG = 100_000
HUGE = {  # 10^10 elements each, of a batch of 1
    "Fill": lambda x: tf.raw_ops.Fill(dims=tf.constant([BIG, BIG]), value=0.0),
    "Fill beside the batch": lambda x: tf.raw_ops.Fill(dims=tf.stack([tf.shape(x)[0], BIG, BIG]), value=0.0),
    "a product": lambda x: tf.raw_ops.Fill(dims=tf.reshape(scalar(BIG) * scalar(BIG), [1]), value=0.0),
    "a sum of casts": lambda x: tf.zeros([tf.cast(tf.constant(1e10), tf.int64) + scalar(BIG)]),
    "a called function": lambda x: tf.function(lambda n: tf.zeros([n, n]))(scalar(BIG)),
    "a condition": lambda x: tf.cond(x[0] > 0, lambda: tf.zeros([scalar(BIG), BIG]), lambda: tf.zeros([1, 1])),
    "BroadcastTo": lambda x: tf.broadcast_to(0.0, [BIG, BIG]),
    "Tile": lambda x: tf.tile(tf.zeros([1, 1]), [BIG, BIG]),
    "Pad": lambda x: tf.pad(x, [[0, 2**30]]),
    "Range": lambda x: tf.range(0.0, 1e10, 1.0),
    "LinSpace": lambda x: tf.raw_ops.LinSpace(start=0.0, stop=1.0, num=10**9),
    "OneHot": lambda x: tf.one_hot(tf.cast(x, tf.int32), 10**9),
    "ScatterNd": lambda x: tf.scatter_nd([[0, 0]], [1.0], [BIG, BIG]),
    "TensorListReserve": lambda x: tf.raw_ops.TensorListReserve(
        element_shape=[BIG], num_elements=BIG, element_dtype=tf.float32
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_tensors_that_constants_make_huge_are_found(name):
    function = tf.function(HUGE[name], input_signature=[tf.TensorSpec([None])], autograph=False)
    found = huge_tensor(function.get_concrete_function().graph.as_graph_def())
    assert found and re.search(r"a tensor of 1.*e\+(09|10) elements", found), found


def test_tensors_of_a_usual_size_are_none_and_endless_calls_end():
    function = tf.function(
        lambda x: tf.pad(tf.tile(x, [9]), [[1, 2**20]]) + tf.zeros([tf.shape(x)[0] * 9 + 1 + 2**20]),
        input_signature=[tf.TensorSpec([None])],
        autograph=False,
    )
    assert huge_tensor(function.get_concrete_function().graph.as_graph_def()) is None
    graph = tf.function(HUGE["a called function"], input_signature=[tf.TensorSpec([None])], autograph=False)
    content = graph.get_concrete_function().graph.as_graph_def()
    (inner,) = content.library.function
    call = next(node for node in content.node if "PartitionedCall" in node.op)
    del inner.node_def[:]
    own = inner.node_def.add(name="own", op=call.op, input=[inner.signature.input_arg[0].name])
    own.attr["f"].CopyFrom(call.attr["f"])
    assert "calls within each other" in huge_tensor(content)


@pytest.fixture
def rewritten(emotion, tmp_path):
    """A function that copies a run's .keras archive with its config.json, or other files in it, changed."""

    def rewrite(change=json.dumps, files=()):
        into = tmp_path / "model.keras"
        with zipfile.ZipFile(emotion[0] / "fold-0-x" / "model.keras") as old:
            contents = {name: old.read(name) for name in old.namelist()}
        contents |= {"config.json": change(json.loads(contents["config.json"])), **dict(files)}
        with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as new:
            for name, content in contents.items():
                new.writestr(name, content)
        return into

    return rewrite


def with_layer(**layer):
    def change(content):
        content["config"]["layers"][-1] |= {"registered_name": None, **layer}
        return json.dumps(content)

    return change


@pytest.mark.parametrize(
    ("change", "files", "found"),
    [
        (with_layer(class_name="Lambda", module="keras.layers"), {}, "code, in an object"),
        (with_layer(class_name="system", module="os"), {}, "a foreign class, os.system"),
        (with_layer(class_name="Evil", module="evil", registered_name="zoo>Evil"), {}, "a foreign class, evil.Evil"),
        (with_layer(class_name="TorchModuleWrapper", module="keras.layers"), {}, "a layer that loads"),
        (with_layer(class_name="StringLookup", module="keras.layers"), {}, "a layer that loads"),
        (with_layer(class_name="get_file", module="keras.utils"), {}, "a foreign class"),
        (json.dumps, {"assets/x.pkl": b"x"}, "an archive of"),
        (json.dumps, {"../outside": b"x"}, "an archive of"),
        (lambda content: json.dumps(content) + " " * 17 * 2**20, {}, "unpacks to"),
        (lambda content: "[" * 100_000, {}, ""),
    ],
)
def test_archives_made_to_harm_are_refused(rewritten, change, files, found):
    with pytest.raises(UserError, match=f"expected a model as train.py saves it.*{found}"):
        load_model(rewritten(change, files))


@pytest.mark.parametrize(
    ("dataset", "found"),
    [
        ({"shape": (4,), "external": [("/etc/hostname", 0, 16)]}, "weights that lead elsewhere"),
        ({"shape": (2**20, 2**12), "chunks": (16, 16), "compression": "gzip"}, "weights of more"),
        (None, "weights that lead elsewhere"),
    ],
)
def test_weights_made_to_harm_are_refused(rewritten, tmp_path, dataset, found):
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as weights:
        if dataset:
            weights.create_dataset("copy", dtype="float32", **dataset)
        else:
            weights["copy"] = h5py.ExternalLink("/tmp/never.h5", "/x")
    with pytest.raises(UserError, match=found):
        load_model(rewritten(files={path.name: path.read_bytes()}))


def test_a_bomb_is_not_unpacked(rewritten):
    """One that declares more than it should; its bytes are never read."""
    path = rewritten()
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")  # the last entry of the directory: model.weights.h5
    assert b"model.weights.h5" in data[at : at + 80]
    data[at + 24 : at + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(UserError, match="unpacks to 429"):
        load_model(path)
