"""Weight files in published layouts, small, against PyTorch with the same weights."""

import io
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest
from scipy.io import savemat

from zoo.errors import UserError
from zoo.models import image_networks
from zoo.models.image_networks import Network, body, layout
from zoo.models.weights.image import INPUT, MEAN, convert, read
from zoo.utils import extras

SIDE = 8
MEAN_RGB = np.array(MEAN[::-1], np.float32)
THEIRS = ("conv1", "conv2", "fc6", "fc7", "fc8")
TORCH = ("features.0", "features.3", "classifier.0", "classifier.3", "classifier.6")


def convolutions():
    images = keras.Input((SIDE, SIDE, 3))
    maps = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(images)
    maps = keras.layers.MaxPooling2D(2)(maps)
    maps = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="conv2")(maps)
    maps = keras.layers.Cropping2D(((0, 0), (0, 1)))(maps)  # 4 x 3: rows and columns differ
    return keras.Model(images, maps)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    row = Network(convolutions, SIDE, {"fc6": 7, "fc7": 5}, "fc8", TORCH[2:], 0)
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


def assert_gives(path, images, expected):
    assert expected.any()
    found = keras.ops.convert_to_numpy(body("tiny", path)(images))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def converted(path):
    out = path.with_name("out.npz")
    convert(path, layout("tiny"), out)
    return out


def ours(state):
    """The same weights under the zoo's names, blue first."""
    tensors = {}
    for name, (kernel, bias) in state.items():
        kernel = kernel.reshape(-1, 6, 4, 3).transpose(0, 2, 3, 1).reshape(7, -1) if name == "fc6" else kernel
        kernel = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
        tensors |= {f"{name}/kernel": kernel[:, :, ::-1] if name == "conv1" else kernel, f"{name}/bias": bias}
    return tensors


def torchvision_names(state):
    tensors = {}
    for name, (kernel, bias) in zip(TORCH, state.values(), strict=True):
        tensors |= {f"{name}.weight": kernel, f"{name}.bias": bias}
    return tensors


def torchvision_standard(images):
    """As torchvision's documentation states."""
    return (images / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_torchvision_weights(suffix, state, images, tmp_path):
    path = tmp_path / f"torch.{suffix}"
    if suffix == "npz":
        np.savez(path, **torchvision_names(state))
    else:
        pytest.importorskip("safetensors.numpy").save_file(torchvision_names(state), path)
    assert_gives(converted(path), images, by_pytorch(torchvision_standard(images), state))


def test_safetensors_under_the_zoos_names(state, images, tmp_path):
    path = tmp_path / "tiny.safetensors"
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in ours(state).items()}
    pytest.importorskip("safetensors.numpy").save_file(tensors, path)
    assert_gives(path, images, by_pytorch(images - MEAN_RGB, state))
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(UserError, match="absent, damaged or no weights"):
        body("tiny", path)


def test_safetensors_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'speech-emotion-zoo\[weights\]'"):
        dict(read(tmp_path / "tiny.safetensors", layout("tiny")))


def test_weights_with_batch_normalization_are_of_another_network(state, tmp_path):
    np.savez(tmp_path / "torch.npz", **torchvision_names(state), **{"features.1.weight": np.ones(4)})
    with pytest.raises(UserError, match=r"weights of tiny, which has no features.1/kernel, found in the file"):
        converted(tmp_path / "torch.npz")


def test_the_recipe_makes_what_is_converted(state, images, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    path = tmp_path / "vgg16.pth"
    torch.save({name: torch.tensor(item) for name, item in torchvision_names(state).items()}, path)
    with pytest.raises(UserError, match=r"two lines.*:\n.*weights_only=True\)\n") as refusal:
        converted(path)
    monkeypatch.chdir(tmp_path)
    exec(str(refusal.value).partition(":\n")[2], {"torch": torch, "numpy": np})
    assert_gives(converted(tmp_path / "vgg16_torch.npz"), images, by_pytorch(torchvision_standard(images), state))


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
    assert_gives(converted(tmp_path / "tiny.mat"), images, expected)


def test_matconvnet_weights_of_matlab_7_3(state, images, tmp_path):
    with h5py.File(tmp_path / "tiny.mat", "w", userblock_size=512) as file:

        def stored(array):
            return file.create_dataset(f"#refs#/{len(file['#refs#'])}", data=array).ref

        layers = []
        for name, items in {"relu": (), **matconvnet_weights(state)}.items():
            layer = file.create_group(f"#refs#/layer_{name}")
            layer["name"] = np.array([[ord(letter)] for letter in name], np.uint16)
            refs = np.array([[stored(item.T)] for item in items], h5py.ref_dtype)
            layer["weights"] = refs if items else np.array([0, 0], np.uint64)
            layers.append([layer.ref])
        file["net/layers"] = np.array(layers, h5py.ref_dtype)
        file["net/meta/normalization/averageImage"] = OTHER_MEAN.reshape(3, 1, 1)
    expected = by_pytorch(images - OTHER_MEAN.astype("float32"), state)
    assert_gives(converted(tmp_path / "tiny.mat"), images, expected)


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
    for path in (tmp_path / name, converted(tmp_path / name)):
        assert_gives(path, images, by_pytorch(images - MEAN_RGB, state))


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
    assert_gives(tmp_path / "tiny_tf_kernels.h5", images, by_pytorch(images - MEAN_RGB, state))


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


def test_a_files_own_mean_and_scale_are_used(state, images, tmp_path):
    standard = dict(zip(INPUT, ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]), strict=True))  # blue first
    np.savez(tmp_path / "tiny.npz", **ours(state), **standard)
    expected = by_pytorch((images - np.float32([3, 2, 1])) / np.float32([4, 3, 2]), state)
    assert_gives(tmp_path / "tiny.npz", images, expected)


def test_wrong_weights_are_named(state, tmp_path):
    def refusal(**changes):
        tensors = {name: tensor for name, tensor in {**ours(state), **changes}.items() if tensor is not None}
        np.savez(tmp_path / "tiny.npz", **tensors)
        with pytest.raises(UserError) as error:
            dict(read(tmp_path / "tiny.npz", layout("tiny")))
        return str(error.value)

    assert "tiny with fc6/kernel of shape (72, 7), found (71, 7)" in refusal(**{"fc6/kernel": np.ones((71, 7))})
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


def test_files_that_are_no_weights(tmp_path):
    for name in ("text.npz", "text.h5", "empty.mat"):
        (tmp_path / name).write_text("no archive" if "text" in name else "")
    (tmp_path / "damaged.mat").write_bytes(b"MATLAB 5.0 MAT-file" + b"\0" * 200)
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps([1]))
    (tmp_path / "folder.npz").mkdir()
    savemat(tmp_path / "other.mat", {"x": np.ones(3)})
    savemat(tmp_path / "meta.mat", {"layers": cell([]), "meta": np.ones(3)})
    for name in ("text.npz", "text.h5", "pickle.npz", "absent.npz", "absent.h5", "folder.npz"):
        with pytest.raises(UserError, match=f"{name}: absent, damaged or no weights"):
            dict(read(tmp_path / name, layout("tiny")))
    for name in ("other.mat", "damaged.mat", "empty.mat", "meta.mat", "absent.mat"):
        with pytest.raises(UserError, match=f"{name}: absent, damaged or no weights"):
            converted(tmp_path / name)
    with pytest.raises(UserError, match=r"expected weights in .npz, .h5, .safetensors"):
        dict(read(tmp_path / "weights.txt", layout("tiny")))
    with pytest.raises(UserError, match=r"weights.txt: expected published weights in .mat, .npz, .safetensors, .h5"):
        converted(tmp_path / "weights.txt")
    with pytest.raises(UserError, match=r"expected a file name that ends in .npz"):
        convert(tmp_path / "text.npz", layout("tiny"), tmp_path / "out.h5")
