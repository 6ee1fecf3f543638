"""emotion2vec against an independent reference in PyTorch, on random weights; conversion, padding, bad folders."""

import os
from dataclasses import replace

import emotion2vec_reference as reference
import keras
import numpy as np
import pytest
from keras import ops
from spoil import tensors_changed

from zoo.config.flags import from_flags
from zoo.errors import UserError
from zoo.features import from_config
from zoo.inference import published_head
from zoo.layers.emotion2vec import alibi_slopes
from zoo.models import encoders
from zoo.models.emotion2vec import emotion2vec
from zoo.models.encoder_config import Emotion2VecConfig
from zoo.models.wav2vec2 import with_head
from zoo.models.weights import emotion2vec as names
from zoo.models.weights import encoder_folder, encoder_memory

if os.environ.get("CI"):  # there nothing may be skipped silently
    import torch
else:
    torch = pytest.importorskip("torch", reason="the reference needs PyTorch, which make test installs")
pytestmark = pytest.mark.backend

TINY = reference.Sizes()
VARIANTS = {
    "as published": TINY,
    "a scale of the position bias per layer": replace(TINY, learned_alibi_scale_per_layer=True),
    "one scale for all heads": replace(TINY, learned_alibi_scale_per_head=False),
    "heads that are no power of two": replace(TINY, embed_dim=24, num_heads=6, conv_pos_groups=3),
    "another epsilon in blocks, even taps": replace(TINY, norm_eps="1e-3", conv_pos_width=8),
}


def published(folder, sizes=TINY, head=True, prefix="d2v_model.", further=()):
    """Writes a random model as it is published, but in safetensors; returns its tensors without a prefix."""
    from safetensors.torch import save_file

    tensors = reference.random_tensors(sizes)
    if not head:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("proj.")}
    folder.mkdir(parents=True)
    there = {name if name.startswith("proj.") else prefix + name: tensor for name, tensor in tensors.items()}
    save_file({**there, **{prefix + name: torch.ones(2) for name in further}}, folder / "model.safetensors")
    (folder / "config.yaml").write_text(reference.config_yaml(sizes))
    if head:
        (folder / "tokens.txt").write_text("\n".join(reference.TOKENS) + "\n", encoding="utf-8")
    return tensors


def converted(folder, sizes=TINY, **options):
    """Publishes, converts and loads; returns the published tensors and the network, without a head."""
    tensors = published(folder / "theirs", sizes, **options)
    encoder_folder.convert(folder / "theirs", folder / "ours")
    found = encoder_folder.read(folder / "ours")
    network = encoders.build(found.config)
    encoder_folder.load_into(network, found)
    return tensors, network


def ask(network, clips, counts=None):
    counts = np.array([len(clip) for clip in clips] if counts is None else counts, np.int32)
    outputs = network({"features": np.asarray(clips, np.float32)[..., None], "n_frames": counts})
    return [ops.convert_to_numpy(output) for output in keras.tree.flatten(outputs)]


def expected(tensors, clips, sizes=TINY, counts=None):
    with torch.no_grad():
        return [one.numpy() for one in reference.states(tensors, sizes, torch.tensor(clips), counts)]


@pytest.mark.parametrize("sizes", VARIANTS.values(), ids=VARIANTS)
def test_hidden_states_are_those_of_the_reference(tmp_path, rng, sizes):
    tensors, network = converted(tmp_path, sizes)
    for samples in (400, 719, 4_001) if sizes == TINY else (4_000,):
        clips = rng.normal(0, 0.3, (2, samples)).astype(np.float32)
        *states, n_frames = ask(network, clips)
        wanted = expected(tensors, clips, sizes)
        assert len(states) == len(wanted) == 4
        assert list(n_frames) == [wanted[0].shape[1]] * 2
        for state, one in zip(states, wanted, strict=True):
            np.testing.assert_allclose(state, one, atol=1e-4)


def test_reference_padding_leaves_it_out_of_attention_alone(tmp_path, rng):
    tensors, network = converted(tmp_path)
    counting = emotion2vec(encoder_folder.read(tmp_path / "ours").config, reference_padding=True)
    counting.set_weights(network.get_weights())
    clips = rng.normal(0, 0.3, (2, 6_000)).astype(np.float32)
    clips[1, 3_500:] = 0
    *states, n_frames = ask(counting, clips, [6_000, 3_500])
    for state, one in zip(states, expected(tensors, clips, counts=(6_000, 3_500)), strict=True):
        for clip in range(2):
            real = slice(0, n_frames[clip])
            np.testing.assert_allclose(state[clip, real], one[clip, real], atol=1e-4)
    last = slice(n_frames[1] - 1, n_frames[1])  # where the positional convolutions see padding
    assert np.abs(ask(network, clips, [6_000, 3_500])[0][1, last] - one[1, last]).max() > 0.01


def test_padding_never_changes_an_answer(tmp_path, rng):
    _, network = converted(tmp_path, replace(TINY, normalize=True))
    clip = rng.normal(0.1, 0.3, 4_321).astype(np.float32)
    alone = ask(network, clip[None])
    padded = np.stack([np.pad(clip, (0, 5_000), constant_values=7.0), rng.normal(size=9_321).astype(np.float32)])
    together = ask(network, padded, [4_321, 9_321])
    n_frames = alone[-1][0]
    assert together[-1][0] == n_frames == (4_321 - 400) // 320 + 1
    for one, other in zip(alone[:-1], together[:-1], strict=True):
        np.testing.assert_allclose(other[0, :n_frames], one[0], atol=2e-5)


def test_waveforms_are_normalised_with_their_own_epsilon(tmp_path, rng):
    """On a quiet clip, where 1e-5 and the 1e-7 of other encoders differ."""
    sizes = replace(TINY, normalize=True)
    tensors, network = converted(tmp_path, sizes)
    clips = rng.normal(0.01, 1e-3, (1, 4_000)).astype(np.float32)
    for state, one in zip(ask(network, clips)[:-1], expected(tensors, clips, sizes), strict=True):
        np.testing.assert_allclose(state, one, atol=1e-4)


def test_the_published_head(tmp_path, rng):
    tensors, network = converted(tmp_path)
    found = encoder_folder.read(tmp_path / "ours")
    assert found.head.labels == reference.LABELS and not found.head.regression
    whole = with_head(network, found.head)
    encoder_folder.load_into(whole, found)
    clips = rng.normal(0, 0.3, (2, 4_000)).astype(np.float32)
    wanted = reference.probabilities(tensors, torch.tensor(expected(tensors, clips)[-1]))
    np.testing.assert_allclose(ask(whole, clips)[0], wanted, atol=1e-5)
    predictor = published_head.of_weights(tmp_path / "ours")
    np.testing.assert_allclose(predictor.predict_waveforms(list(clips)), wanted, atol=1e-5)
    assert encoder_memory.n_weights(found.config, found.head) == sum(tensor.numel() for tensor in tensors.values())


def test_gradients_are_those_of_the_reference(tmp_path, rng):
    """Of the mean square of the last hidden states, for every weight."""
    tensors, network = converted(tmp_path, replace(TINY, learned_alibi_scale_per_layer=True), head=False)
    clips = rng.normal(0, 0.3, (2, 4_000)).astype(np.float32)
    tensors = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
    sizes = replace(TINY, learned_alibi_scale_per_layer=True)
    (reference.states(tensors, sizes, torch.tensor(clips))[-1] ** 2).mean().backward()
    gradients = gradients_of(network, {"features": clips[..., None], "n_frames": np.array([4_000] * 2, np.int32)})
    places = list(names.places(encoder_folder.read(tmp_path / "ours").config))
    assert {name for name, _ in places} == set(tensors) and len(places) == len(gradients)
    for name, place in places:
        weight = getattr(network.get_layer(place.layer), place.weight)
        wanted = place.ours(tensors[name].grad.numpy())
        np.testing.assert_allclose(gradients[weight.path], wanted, atol=1e-3 * max(1, np.abs(wanted).max()))
        assert np.abs(wanted).max() > 1e-6 or place.weight == "bias" or "bias0" in name, name


def gradients_of(network, inputs):
    weights = network.trainable_variables
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = ops.mean(ops.square(network(inputs, training=False)[-2]))
        found = tape.gradient(loss, [weight.value for weight in weights])
    elif keras.backend.backend() == "jax":
        import jax

        def loss(values):
            outputs, _ = network.stateless_call(values, [v.value for v in network.non_trainable_variables], inputs)
            return ops.mean(ops.square(outputs[-2]))

        found = jax.grad(loss)([weight.value for weight in weights])
    else:
        ops.mean(ops.square(network(inputs, training=False)[-2])).backward()
        found = [weight.value.grad for weight in weights]
    return {weight.path: ops.convert_to_numpy(one) for weight, one in zip(weights, found, strict=True)}


@pytest.mark.parametrize("prefix, head", [("d2v_model.", True), ("", False)])
def test_written_back_it_is_what_was_published(tmp_path, prefix, head):
    from safetensors.numpy import load_file

    sizes = replace(TINY, learned_alibi_scale_per_layer=True)
    converted(tmp_path, sizes, prefix=prefix, head=head)
    encoder_folder.write_back(encoder_folder.read(tmp_path / "ours"), tmp_path / "back")
    before, after = (load_file(tmp_path / folder / "model.safetensors") for folder in ("theirs", "back"))
    assert list(before) and set(before) == set(after)
    for name, tensor in before.items():
        np.testing.assert_array_equal(after[name], tensor)
    encoder_folder.convert(tmp_path / "back", tmp_path / "again")
    ours, again = (encoder_folder.read(tmp_path / folder) for folder in ("ours", "again"))
    assert (ours.config, ours.head, ours.sha256) == (again.config, again.head, again.sha256)


def test_tensors_of_pre_training_are_left_out_and_named(tmp_path):
    published(tmp_path / "theirs", head=False, prefix="", further=[f"{reference.AUDIO}decoder.blocks.0.0.weight"])
    unused = encoder_folder.convert(tmp_path / "theirs", tmp_path / "ours")
    assert unused == ["modality_encoders.AUDIO.decoder.blocks.0.0.weight"]
    assert encoder_folder.read(tmp_path / "ours").head is None


def test_tensors_and_frames_of_the_published_size():
    config = Emotion2VecConfig()
    assert {name: place.shape for name, place in names.places(config)} | {
        name: shape for name, shape in reference.shapes(reference.BASE).items() if name.startswith("proj.")
    } == reference.shapes(reference.BASE)
    assert config.least_samples == 400 and config.n_frames(400) == 1 and config.n_frames(399) == 0


@pytest.mark.parametrize("heads", [1, 2, 3, 4, 6, 12, 16])
def test_slopes_of_the_position_bias(heads):
    apart = reference.distances(heads, 2)[:, 0, 1]
    np.testing.assert_allclose(alibi_slopes(heads), -apart, rtol=1e-6)


def test_a_random_encoder_is_written_back_and_converted(tmp_path):
    encoder_folder.make_random("emotion2vec", "tiny", tmp_path / "ours")
    found = encoder_folder.read(tmp_path / "ours")
    assert encoder_folder.is_random(tmp_path / "ours") and found.trained_on == ()
    encoder_folder.write_back(found, tmp_path / "back")
    encoder_folder.convert(tmp_path / "back", tmp_path / "again")
    again = encoder_folder.read(tmp_path / "again")
    assert (again.config, again.sha256, again.licence) == (found.config, found.sha256, found.licence)
    assert encoder_folder.is_random(tmp_path / "again") and again.trained_on == ()


def test_the_licence_of_no_known_name(tmp_path):
    published(tmp_path / "theirs")
    card = "---\nlicense: other\nlicense_name: model-license\nlicense_link: https://example.org/LICENSE\n---\n"
    (tmp_path / "theirs" / "README.md").write_text(card)
    encoder_folder.convert(tmp_path / "theirs", tmp_path / "ours")
    assert encoder_folder.read(tmp_path / "ours").licence == "other (model-license, https://example.org/LICENSE)"


def test_a_pickle_is_refused_with_the_commands_that_convert_it(tmp_path):
    tensors = published(tmp_path / "theirs")
    (tmp_path / "theirs" / "model.safetensors").unlink()
    state = {name if name.startswith("proj.") else f"d2v_model.{name}": one for name, one in tensors.items()}
    torch.save({"model": state}, tmp_path / "theirs" / "model.pt")
    with pytest.raises(UserError, match=r"model\.pt, a pickle, which may run code") as error:
        encoder_folder.convert(tmp_path / "theirs", tmp_path / "ours")
    commands = error.value.lines.splitlines()
    assert len(commands) == 2
    exec("\n".join(commands), {})
    encoder_folder.convert(tmp_path / "theirs", tmp_path / "ours")
    assert encoder_folder.read(tmp_path / "ours").head.labels == reference.LABELS


def edit(before, after):
    def spoil(folder):
        path = folder / "config.yaml"
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))

    return spoil


def write(name, text):
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def pointer(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


BAD = {
    "no YAML": (write("config.yaml", "a: [1"), "config.yaml: cannot be read as YAML"),
    "an object of Python": (
        write("config.yaml", "model: !!python/object/apply:os.getcwd []"),
        "cannot be read as YAML",
    ),
    "a list": (write("config.yaml", "- model"), "expected names and values in YAML, found list"),
    "too large": (write("config.yaml", "#" * 2**21), "2097152 bytes, more than"),
    "another model": (
        edit("model: Emotion2vec", "model: SenseVoiceSmall"),
        "expected model: Emotion2vec, found 'Sense",
    ),
    "a variant": (
        edit("layer_norm_first: false", "layer_norm_first: true"),
        "layer_norm_first is True, expected False",
    ),
    "a setting absent": (
        edit("prenet_depth: 1", "prenet: 1"),
        r"expected the settings of emotion2vec \(no prenet_depth\)",
    ),
    "a text for a number": (edit("embed_dim: 32", "embed_dim: wide"), "embed_dim is 'wide', expected a whole number"),
    "a huge number": (edit("prenet_depth: 1", "prenet_depth: 1000000000"), "prenet_depth is 1000000000"),
    "code for convolutions": (edit("[(16, 10, 5)]", "[__import__(1)]"), r"feature_encoder_spec is .*, expected lists"),
    "too many convolutions": (edit("* 4", "* 99"), "feature_encoder_spec is .*, expected lists"),
    "other sizes": (edit("embed_dim: 32", "embed_dim: 64"), r"has shape .* expected .* by config.yaml"),
    "too few layers": (edit("    depth: 2", "    depth: 1"), "d2v_model.blocks.1.* belong to no encoder"),
    "more labels": (
        write("tokens.txt", "\n".join([*reference.TOKENS, "calm"])),
        "expected 9 different labels.*found 10",
    ),
    "outputs out of use": (
        write("tokens.txt", "\n".join(["unuse_0", *reference.TOKENS[1:]])),
        "unuse_0 are outputs out of use",
    ),
    "no tokens": (lambda folder: (folder / "tokens.txt").unlink(), "expected 9 different labels.*found 0"),
    "no head": (tensors_changed(proj__weight=None, proj__bias=None), "proj.weight missing, the head of the 9 labels"),
    "half a head": (tensors_changed(proj__bias=None), "proj.bias missing"),
    "missing": (
        tensors_changed(d2v_model__blocks__1__attn__qkv__bias=None),
        "d2v_model.blocks.1.attn.qkv.bias missing",
    ),
    "unknown": (tensors_changed(d2v_model__adapter=np.zeros(3, np.float32)), "d2v_model.adapter belong to no encoder"),
    "misshapen": (
        tensors_changed(d2v_model__blocks__0__attn__qkv__weight=np.zeros((64, 32), np.float32)),
        r"blocks.0.attn.qkv.weight has shape \(64, 32\), expected \(96, 32\)",
    ),
    "a pointer": (pointer, "large-file pointer of 56 bytes; run: git lfs pull"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "expected model.safetensors"),
}


@pytest.mark.parametrize("spoil, message", BAD.values(), ids=BAD)
def test_what_is_no_such_encoder_is_refused(tmp_path, spoil, message):
    published(tmp_path / "theirs")
    spoil(tmp_path / "theirs")
    with pytest.raises(UserError, match=message):
        encoder_folder.convert(tmp_path / "theirs", tmp_path / "ours")
    assert not (tmp_path / "ours" / "encoder.json").exists()


def test_results_on_corpora_of_the_encoders_own_training_say_so(tmp_path):
    converted(tmp_path)
    given = {"model": "emotion2vec", "weights": str(tmp_path / "ours")}
    said = {corpus: from_config.seen_by_encoder(from_flags({**given, "corpus": corpus})) for corpus in CORPORA}
    assert said["ravdess"] == ["ravdess is among the corpora that the encoder ours was trained on by its publishers"]
    assert [corpus for corpus, sentences in said.items() if sentences] == ["ravdess", "emodb", "emodb+cremad"]


CORPORA = ("ravdess", "cremad", "emodb", "emodb+cremad")
