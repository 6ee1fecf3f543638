"""Published layouts, written small by the libraries that own them, give what PyTorch computes with the same weights."""

import io
import os
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from scipy.io import savemat

from zoo.errors import UserError
from zoo.models import image_networks
from zoo.models.image_networks import Network, body, layout
from zoo.models.weights import readers
from zoo.models.weights.image import INPUT, MEAN, checksum, convert, read

SIDE = 8
MEAN_RGB = np.array(MEAN[::-1], np.float32)
THEIRS = ("conv1", "conv2", "fc6", "fc7", "fc8")
TORCH = ("features.0", "features.3", "classifier.0", "classifier.3", "classifier.6")


def convolutions():
    images = keras.Input((SIDE, SIDE, 3))
    maps = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(images)
    maps = keras.layers.MaxPooling2D(2)(maps)
    maps = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="conv2")(maps)
    maps = keras.layers.Cropping2D(((0, 0), (0, 1)))(maps)  # rows and columns told apart: 4 x 3
    return keras.Model(images, maps)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    row = Network(convolutions, SIDE, {"fc6": 7, "fc7": 5}, "fc8", TORCH[2:], 0, "none")
    monkeypatch.setitem(image_networks.NETWORKS, "tiny", row)


@pytest.fixture
def state(rng):
    """As PyTorch has them: kernel and bias by layer, for images that are red first."""
    shapes = ((4, 3, 3, 3), (6, 4, 3, 3), (7, 6 * 4 * 3), (5, 7), (2, 5))
    return {
        name: (0.2 * rng.normal(size=shape).astype("float32"), 0.2 * rng.normal(size=shape[0]).astype("float32"))
        for name, shape in zip(THEIRS, shapes, strict=True)
    }


@pytest.fixture
def images(rng):
    return rng.uniform(0, 255, size=(3, SIDE, SIDE, 3)).astype("float32")


def by_pytorch(standardised, state):
    """Images (batch, side, side, 3), red first and standardised -> features."""
    torch = pytest.importorskip("torch")
    weights = {name: [torch.tensor(item) for item in items] for name, items in state.items()}
    functional = torch.nn.functional
    maps = torch.tensor(standardised.transpose(0, 3, 1, 2))
    maps = functional.max_pool2d(functional.conv2d(maps, *weights["conv1"], padding=1).relu(), 2)
    maps = functional.conv2d(maps, *weights["conv2"], padding=1).relu()[..., :3]
    vector = functional.linear(maps.flatten(1), *weights["fc6"]).relu()
    return functional.linear(vector, *weights["fc7"]).relu().numpy()


def features(path, images):
    return keras.ops.convert_to_numpy(body("tiny", path)(images))


def assert_gives(path, tmp_path, images, expected):
    convert(path, layout("tiny"), tmp_path / "out.npz")
    assert expected.any()
    np.testing.assert_allclose(features(tmp_path / "out.npz", images), expected, rtol=1e-4, atol=1e-4)


def ours(state):
    """The same weights under the zoo's names, blue first."""
    tensors = {}
    for name, (kernel, bias) in state.items():
        kernel = kernel.reshape(-1, 6, 4, 3).transpose(0, 2, 3, 1).reshape(7, -1) if name == "fc6" else kernel
        kernel = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
        tensors |= {f"{name}/kernel": kernel[:, :, ::-1] if name == "conv1" else kernel, f"{name}/bias": bias}
    return tensors


def without_head(tensors):
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("fc8")}


# torchvision


def torchvision_names(state):
    names = dict(zip(THEIRS, TORCH, strict=True))
    pairs = [(names[layer], items) for layer, items in state.items()]
    return {f"{name}.{part}": item for name, items in pairs for part, item in zip(("weight", "bias"), items)}  # noqa: B905


def torchvision_standard(images):
    """What torchvision's documentation tells users to do."""
    return (images / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])


def test_torchvision_weights(state, images, tmp_path):
    np.savez(tmp_path / "torch.npz", **torchvision_names(state))
    assert_gives(tmp_path / "torch.npz", tmp_path, images, by_pytorch(torchvision_standard(images), state))


def test_torchvision_weights_in_safetensors(state, images, tmp_path):
    numpy_files = pytest.importorskip("safetensors.numpy")
    numpy_files.save_file(torchvision_names(state), tmp_path / "torch.safetensors")
    assert_gives(tmp_path / "torch.safetensors", tmp_path, images, by_pytorch(torchvision_standard(images), state))


def test_safetensors_under_the_zoos_names(state, images, tmp_path):
    numpy_files = pytest.importorskip("safetensors.numpy")
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in ours(state).items()}
    numpy_files.save_file(tensors, tmp_path / "tiny.safetensors")
    expected = by_pytorch(images - MEAN_RGB, state)
    np.testing.assert_allclose(features(tmp_path / "tiny.safetensors", images), expected, rtol=1e-4, atol=1e-4)
    (tmp_path / "tiny.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(UserError, match="absent, damaged or no weights"):
        features(tmp_path / "tiny.safetensors", images)


def test_safetensors_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(readers, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install safetensors"):
        dict(read(tmp_path / "tiny.safetensors", layout("tiny")))


def test_weights_with_batch_normalization_are_of_another_network(state, tmp_path):
    np.savez(tmp_path / "torch.npz", **torchvision_names(state), **{"features.1.weight": np.ones(4)})
    with pytest.raises(UserError, match=r"weights of tiny, which has no features.1/kernel, found in the file"):
        convert(tmp_path / "torch.npz", layout("tiny"), tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".pkl"])
def test_pickles_are_refused_with_a_recipe(suffix, tmp_path):
    path = tmp_path / f"vgg16{suffix}"
    path.write_bytes(pickle.dumps({"features.0.weight": 1}))
    for attempt in (lambda: convert(path, layout("tiny"), tmp_path / "out.npz"), lambda: body("tiny", path)):
        with pytest.raises(UserError, match=r"two lines.*:\n.*weights_only=True\)\nnumpy.savez\('vgg16_torch.npz'"):
            attempt()


def test_the_recipe_makes_what_is_converted(state, images, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    path = tmp_path / "vgg16.pth"
    torch.save({name: torch.tensor(item) for name, item in torchvision_names(state).items()}, path)
    with pytest.raises(UserError) as refusal:
        convert(path, layout("tiny"), tmp_path / "out.npz")
    monkeypatch.chdir(tmp_path)
    exec(str(refusal.value).partition(":\n")[2], {"torch": torch, "numpy": np})
    assert_gives(tmp_path / "vgg16_torch.npz", tmp_path, images, by_pytorch(torchvision_standard(images), state))


# Caffe


def caffe_messages():
    """The parts of caffe.proto that hold weights, by Google's implementation of protocol buffers."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="tiny_caffe.proto", package="tiny_caffe", syntax="proto2")

    def message(name, *fields):
        kind = file.message_type.add(name=name)
        for field, number, type_, repeated, of in fields:
            added = kind.field.add(name=field, number=number, type=type_, label=3 if repeated else 1)
            if of:
                added.type_name = f".tiny_caffe.{of}"
            added.options.packed = bool(repeated) and not of and type_ != kinds.TYPE_STRING

    message("BlobShape", ("dim", 1, kinds.TYPE_INT64, True, ""))
    message(
        "BlobProto",
        *((name, number, kinds.TYPE_INT32, False, "") for number, name in enumerate(("num", "channels", "height"), 1)),
        ("width", 4, kinds.TYPE_INT32, False, ""),
        ("data", 5, kinds.TYPE_FLOAT, True, ""),
        ("double_data", 8, kinds.TYPE_DOUBLE, True, ""),
        ("shape", 7, kinds.TYPE_MESSAGE, False, "BlobShape"),
    )
    blobs = (kinds.TYPE_MESSAGE, True, "BlobProto")
    message(
        "V1LayerParameter",
        ("name", 4, kinds.TYPE_STRING, False, ""),
        ("type", 5, kinds.TYPE_INT32, False, ""),
        ("blobs", 6, *blobs),
        ("blobs_lr", 7, kinds.TYPE_FLOAT, True, ""),
    )
    message(
        "LayerParameter",
        ("name", 1, kinds.TYPE_STRING, False, ""),
        ("type", 2, kinds.TYPE_STRING, False, ""),
        ("blobs", 7, *blobs),
    )
    message(
        "NetParameter",
        ("name", 1, kinds.TYPE_STRING, False, ""),
        ("layers", 2, kinds.TYPE_MESSAGE, True, "V1LayerParameter"),
        ("layer", 100, kinds.TYPE_MESSAGE, True, "LayerParameter"),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tiny_caffe.NetParameter"))


def caffemodel(state, version, data="data"):
    net = caffe_messages()(name="tiny")
    for name, items in {"data": (), "conv1": (), **state, "prob": ()}.items():
        layer = net.layers.add(name=name, type=4, blobs_lr=[1, 2]) if version == 1 else net.layer.add(name=name)
        for item in items:
            item = item[:, ::-1] if name == "conv1" and item.ndim == 4 else item  # blue first
            blob = layer.blobs.add()
            getattr(blob, data).extend(item.ravel().tolist())
            if version == 1:
                blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - item.ndim) + item.shape
            else:
                blob.shape.dim.extend(item.shape)
    return net.SerializeToString()


@pytest.mark.parametrize(("version", "data"), [(1, "data"), (2, "data"), (2, "double_data")])
def test_caffe_weights(version, data, state, images, tmp_path):
    path = tmp_path / "tiny.caffemodel"
    path.write_bytes(caffemodel(state, version, data))
    assert_gives(path, tmp_path, images, by_pytorch(images - MEAN_RGB, state))


def test_damaged_caffe_weights(state, tmp_path):
    whole = caffemodel(state, 2)
    for content in (b"", whole[:-100], b"\xff" * 50, whole[: len(whole) // 2]):
        path = tmp_path / "tiny.caffemodel"
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"damaged|are not there"):
            convert(path, layout("tiny"), tmp_path / "out.npz")


def field(number, value):
    """One field of a protocol buffer: a varint for a number, bytes as they are."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value):
    return (bytes([value & 127 | 128]) + varint(value >> 7)) if value > 127 else bytes([value])


def shaped(*sizes, data=b""):
    """A layer conv1 (field 100) with one blob."""
    blob = field(7, field(1, b"".join(map(varint, sizes)))) + (field(5, data) if data else b"")
    return field(100, field(1, b"conv1") + field(7, blob))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (field(100, field(1, 10**15) + field(7, b"")), "a layer whose name is the number 1000000000000000"),
        (shaped(10**9, 10**9), r"0 numbers for a blob of shape \(1000000000, 1000000000\)"),
        (shaped(4, 3, 3, 3), r"0 numbers for a blob of shape \(4, 3, 3, 3\)"),
        (shaped(2**63, 2, data=bytes(8)), "2 numbers for a blob of shape"),
        (shaped(2**63, 0), "large|dimension"),
        (field(100, field(1, b"conv1") + field(7, 10**15)), "len|damaged"),
        (field(100, field(1, b"\xff") + field(7, b"")), "decode"),
    ],
    ids=["number-as-name", "huge", "empty", "overflowing", "nothing-of-huge", "number-as-blob", "no-utf-8"],
)
def test_caffe_messages_that_no_framework_writes(content, reason, tmp_path):
    path = tmp_path / "tiny.caffemodel"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"tiny.caffemodel: absent, damaged or no weights .*({reason})"):
        convert(path, layout("tiny"), tmp_path / "out.npz")


def test_caffe_weights_of_another_network(state, tmp_path):
    state["conv2"] = (state["conv2"][0][:, :2], state["conv2"][1])
    path = tmp_path / "tiny.caffemodel"
    path.write_bytes(caffemodel(state, 2))
    with pytest.raises(UserError, match=r"tiny, whose conv2/kernel is \(3, 3, 4, 6\), found \(3, 3, 2, 6\)"):
        convert(path, layout("tiny"), tmp_path / "out.npz")


# MatConvNet


def matconvnet_weights(state):
    weights = {}
    for name, (kernel, bias) in state.items():
        if kernel.ndim == 2:
            kernel = kernel.reshape(-1, 6, 4, 3) if name == "fc6" else kernel[:, :, None, None]
        weights[name] = [kernel.transpose(2, 3, 1, 0), bias.reshape(-1, 1)]
    return weights


def cell(items):
    array = np.empty((1, len(items)), object)
    for index, item in enumerate(items):
        array[0, index] = item
    return array


OTHER_MEAN = np.array([100.0, 110.0, 120.0])  # red first, as MatConvNet has it


@pytest.mark.parametrize("age", ["net", "top", "old"])
def test_matconvnet_weights(age, state, images, tmp_path):
    layers = [{"type": "relu", "name": "relu1"}]
    for name, (kernel, bias) in matconvnet_weights(state).items():
        parts = {"filters": kernel, "biases": bias} if age == "old" else {"weights": cell([kernel, bias])}
        layers.append({"type": "conv", "name": name, **parts})
    normalization = {"averageImage": np.broadcast_to(OTHER_MEAN, (SIDE, SIDE, 3)), "interpolation": "bicubic"}
    content = {"layers": cell(layers)}
    content |= {"normalization": normalization} if age == "old" else {"meta": {"normalization": normalization}}
    savemat(tmp_path / "tiny.mat", {"net": content} if age == "net" else content)
    expected = by_pytorch(images - OTHER_MEAN.astype("float32"), state)
    assert_gives(tmp_path / "tiny.mat", tmp_path, images, expected)


def test_matconvnet_weights_of_matlab_7_3(state, images, tmp_path):
    with h5py.File(tmp_path / "tiny.mat", "w", userblock_size=512) as file:
        references = []

        def stored(group, array):
            dataset = group.create_dataset(f"r{len(group)}", data=array)
            references.append(dataset)
            return dataset.ref

        hidden, net = file.create_group("#refs#"), file.create_group("net")
        layers = []
        for index, (name, items) in enumerate({"relu": (), **matconvnet_weights(state)}.items()):
            layer = hidden.create_group(f"layer{index}")
            layer["name"] = np.array([[ord(letter)] for letter in name], np.uint16)
            if items:
                refs = np.array([[stored(hidden, item.T)] for item in items], h5py.ref_dtype)
                layer.create_dataset("weights", data=refs, dtype=h5py.ref_dtype)
            else:
                layer["weights"] = np.array([0, 0], np.uint64)
            layers.append(layer.ref)
        net.create_dataset("layers", data=np.array([layers], h5py.ref_dtype).T, dtype=h5py.ref_dtype)
        net["meta/normalization/averageImage"] = OTHER_MEAN.reshape(3, 1, 1)
    expected = by_pytorch(images - OTHER_MEAN.astype("float32"), state)
    assert_gives(tmp_path / "tiny.mat", tmp_path, images, expected)


def test_other_matlab_files_are_refused(tmp_path):
    savemat(tmp_path / "other.mat", {"x": np.ones(3)})
    (tmp_path / "damaged.mat").write_bytes(b"MATLAB 5.0 MAT-file" + b"\0" * 200)
    (tmp_path / "empty.mat").write_bytes(b"")
    savemat(tmp_path / "meta.mat", {"layers": cell([]), "meta": np.ones(3)})
    for name in ("other.mat", "damaged.mat", "empty.mat", "meta.mat", "absent.mat"):
        with pytest.raises(UserError, match=f"{name}: absent, damaged or no weights"):
            convert(tmp_path / name, layout("tiny"), tmp_path / "out.npz")


# Keras and the zoo's own


def keras_model(state):
    """The whole network, as keras.applications would have it: blue first, with its head."""
    part = convolutions()
    vector = keras.layers.Flatten()(part.output)
    for name, units in (("fc6", 7), ("fc7", 5), ("fc8", 2)):
        vector = keras.layers.Dense(units, activation="relu", name=name)(vector)
    whole = keras.Model(part.inputs, vector)
    for name, tensor in ours(state).items():
        layer, weight = name.split("/")
        getattr(whole.get_layer(layer), weight).assign(tensor)
    return whole


@pytest.mark.parametrize("name", ["tiny.weights.h5", "tiny.h5"])
def test_files_of_keras(name, state, images, tmp_path):
    model = keras_model(state)
    (model.save_weights if "weights" in name else model.save)(tmp_path / name)
    expected = by_pytorch(images - MEAN_RGB, state)
    np.testing.assert_allclose(features(tmp_path / name, images), expected, rtol=1e-4, atol=1e-4)
    assert_gives(tmp_path / name, tmp_path, images, expected)


def test_the_layout_in_which_keras_applications_publishes(state, images, tmp_path):
    """Group by layer, names of the old kind, in bytes: vgg16_weights_tf_dim_ordering_tf_kernels.h5."""
    with h5py.File(tmp_path / "tiny_tf_kernels.h5", "w") as file:
        file.attrs["layer_names"] = [b"input_1", *(name.encode() for name in THEIRS), b"pool"]
        for layer in ("input_1", "pool"):
            file.create_group(layer).attrs["weight_names"] = []
        for layer in THEIRS:
            names = [f"{layer}_W_1:0", f"{layer}_b_1:0"]
            file.create_group(layer).attrs["weight_names"] = [name.encode() for name in names]
            for name, part in zip(names, ("kernel", "bias"), strict=True):
                file[layer][name] = ours(state)[f"{layer}/{part}"]
    expected = by_pytorch(images - MEAN_RGB, state)
    np.testing.assert_allclose(features(tmp_path / "tiny_tf_kernels.h5", images), expected, rtol=1e-4, atol=1e-4)


def test_a_damaged_heap_of_hdf5_is_a_damaged_file(state, tmp_path):
    """h5py says RuntimeError: it cannot look anything up in a file with another size of its root's heap."""
    keras_model(state).save_weights(tmp_path / "tiny.weights.h5")
    content = bytearray((tmp_path / "tiny.weights.h5").read_bytes())
    heap = content.index(b"HEAP")
    content[heap + 4 : heap + 8] = b"\xff" * 4  # its version
    (tmp_path / "tiny.weights.h5").write_bytes(content)
    with h5py.File(tmp_path / "tiny.weights.h5") as file, pytest.raises(RuntimeError):
        assert "layers" in file
    with pytest.raises(UserError, match=r"tiny.weights.h5: absent, damaged or no weights"):
        dict(read(tmp_path / "tiny.weights.h5", layout("tiny")))


def test_keras_weights_that_lead_elsewhere_are_refused(state, tmp_path):
    with h5py.File(tmp_path / "elsewhere.h5", "w") as file:
        for name, tensor in ours(state).items():
            file[name] = tensor
    with h5py.File(tmp_path / "tiny.h5", "w") as file:
        file.attrs["layer_names"] = list(THEIRS)
        for layer in THEIRS:
            file.create_group(layer).attrs["weight_names"] = ["kernel", "bias"]
            for part in ("kernel", "bias"):
                file[layer][part] = h5py.ExternalLink(str(tmp_path / "elsewhere.h5"), f"{layer}/{part}")
    with pytest.raises(UserError, match="leads to another file"):
        dict(read(tmp_path / "tiny.h5", layout("tiny")))


def test_own_files_hold_every_tensor_under_its_name(state, tmp_path):
    np.savez(tmp_path / "tiny.npz", **ours(state))
    convert(tmp_path / "tiny.npz", layout("tiny"), tmp_path / "out.npz")
    found = dict(read(tmp_path / "out.npz", layout("tiny")))
    assert list(found) == list(layout("tiny").shapes())
    for name, tensor in without_head(ours(state)).items():
        np.testing.assert_array_equal(found[name], tensor)


def test_a_files_own_mean_and_scale_are_used(state, images, tmp_path):
    standard = dict(zip(INPUT, ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]), strict=True))  # blue first
    np.savez(tmp_path / "tiny.npz", **ours(state), **standard)
    expected = by_pytorch((images - np.float32([3, 2, 1])) / np.float32([4, 3, 2]), state)
    np.testing.assert_allclose(features(tmp_path / "tiny.npz", images), expected, rtol=1e-4, atol=1e-4)


def test_wrong_weights_are_named(state, tmp_path):
    def refusal(**changes):
        tensors = {name: tensor for name, tensor in {**ours(state), **changes}.items() if tensor is not None}
        np.savez(tmp_path / "tiny.npz", **tensors)
        with pytest.raises(UserError) as error:
            dict(read(tmp_path / "tiny.npz", layout("tiny")))
        return str(error.value)

    assert "whose fc6/kernel is (72, 7), found (71, 7)" in refusal(**{"fc6/kernel": np.ones((71, 7))})
    assert "which needs conv2/bias (1 are not there)" in refusal(**{"conv2/bias": None})
    assert "which has no conv3/kernel, found in the file" in refusal(**{"conv3/kernel": np.ones((3, 3, 6, 6))})
    for values in (np.full((4,), np.nan), np.ones(4, int)):
        assert "conv1/bias holds something else than finite floats" in refusal(**{"conv1/bias": values})
    assert "damaged" in refusal(**{"conv1/bias": np.array([None] * 4)})  # NumPy would pickle it


def test_arrays_larger_than_any_memory_are_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**9)})
    with zipfile.ZipFile(tmp_path / "tiny.npz", "w") as archive:
        for name in layout("tiny").shapes():
            archive.writestr(f"{name}.npy", header.getvalue())
    with pytest.raises(UserError, match=r"tiny.npz: absent, damaged or no weights .*\(Unable to allocate"):
        dict(read(tmp_path / "tiny.npz", layout("tiny")))


def test_pipes_and_folders_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "folder.npz").mkdir()
    for name in ("pipe.npz", "folder.npz"):
        with pytest.raises(UserError, match=f"{name}: .*a folder, pipe or device and no file"):
            dict(read(tmp_path / name, layout("tiny")))
        with pytest.raises(UserError, match=f"{name}: .*a folder, pipe or device and no file"):
            checksum(tmp_path / name)


def test_files_that_are_no_weights(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "text.h5").write_text("no archive")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps([1]))
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("a.npy", io.BytesIO(b"x").getvalue())
    for name in ("text.npz", "text.h5", "pickle.npz", "absent.npz", "absent.h5"):
        with pytest.raises(UserError, match=f"{name}: absent, damaged or no weights"):
            dict(read(tmp_path / name, layout("tiny")))
    with pytest.raises(UserError, match=r"expected weights in .npz, .h5, .safetensors"):
        dict(read(tmp_path / "weights.txt", layout("tiny")))
    with pytest.raises(UserError, match=r"other.npz"):
        dict(read(tmp_path / "other.npz", layout("tiny")))
    with pytest.raises(UserError, match=r"expected published weights in .caffemodel"):
        convert(tmp_path / "weights.txt", layout("tiny"), tmp_path / "out.npz")
    with pytest.raises(UserError, match=r"expected a file name that ends in .npz"):
        convert(tmp_path / "text.npz", layout("tiny"), tmp_path / "out.h5")
