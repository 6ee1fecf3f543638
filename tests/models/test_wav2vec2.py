"""Encoders against transformers' own, built from configurations with random weights; conversion, padding, heads."""

import json
import os
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops
from spoil import tensors_changed

from zoo.errors import UserError
from zoo.models.encoder_config import EncoderConfig
from zoo.models.wav2vec2 import InTraining, speech_encoder, with_head
from zoo.models.weights import encoder_folder, hugging_face

if os.environ.get("CI"):  # there nothing may be skipped silently
    import transformers
else:
    transformers = pytest.importorskip("transformers", reason="parity needs transformers, which make test installs")
torch = pytest.importorskip("torch")
pytestmark = pytest.mark.backend

TINY = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
TINY |= {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
BASE |= {"conv_dim": (512,) * 7, "num_conv_pos_embeddings": 128, "num_conv_pos_embedding_groups": 16}
LARGE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
# family, settings beyond the tiny sizes
VARIANTS = {
    "wav2vec2 base": ("Wav2Vec2", {}),
    "wav2vec2 large": ("Wav2Vec2", LARGE),
    "hubert base": ("Hubert", {}),
    "hubert without a norm in front of the projection": ("Hubert", {"feat_proj_layer_norm": False}),
    "wavlm base": ("WavLM", {"num_buckets": 32, "max_bucket_distance": 40}),
    "wavlm large": ("WavLM", LARGE),
}


def published(folder, family="Wav2Vec2", head="", normalize=False, **settings):
    """Writes a random model as it is published; returns it."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**{**TINY, **settings})
    model = getattr(transformers, f"{family}{head or 'Model'}")(config).eval()
    with torch.no_grad():
        for weight in model.parameters():  # biases and norms of zero and one would hide mistakes
            if weight.ndim < 2 or config.hidden_size == TINY["hidden_size"]:  # wide attention would saturate
                weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder, safe_serialization=True)
    waveform = {"do_normalize": normalize, "sampling_rate": 16_000, "return_attention_mask": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(waveform))
    return model


def converted(folder, *args, **options):
    """Publishes, converts and loads; returns the published model and the network."""
    model = published(folder / "hf", *args, **options)
    encoder_folder.convert(folder / "hf", folder / "ours")
    found = encoder_folder.read(folder / "ours")
    network = speech_encoder(found.config)
    if found.head:
        network = with_head(network, found.head)
    encoder_folder.load_into(network, found)
    return model, network


def ask(network, clips, counts=None):
    counts = np.array([len(clip) for clip in clips] if counts is None else counts, np.int32)
    outputs = network({"features": np.asarray(clips, np.float32)[..., None], "n_frames": counts})
    return [ops.convert_to_numpy(output) for output in keras.tree.flatten(outputs)]


def states_of(model, clips, mask=None):
    """The published model's hidden states; behind the last layer of a pre-norm encoder, its normalised ones."""
    with torch.no_grad():
        mask = None if mask is None else torch.tensor(mask)
        found = model(torch.tensor(clips), attention_mask=mask, output_hidden_states=True)
    return [*(state.numpy() for state in found.hidden_states[:-1]), found.last_hidden_state.numpy()]


@pytest.mark.parametrize("family, settings", VARIANTS.values(), ids=VARIANTS)
def test_hidden_states_are_those_of_transformers(tmp_path, rng, family, settings):
    model, network = converted(tmp_path, family, **settings)
    for samples in (400, 719, 16_000):
        clips = rng.normal(0, 0.3, (2, samples)).astype(np.float32)
        *states, n_frames = ask(network, clips)
        expected = states_of(model, clips)
        assert len(states) == len(expected) == 4
        assert list(n_frames) == [expected[0].shape[1]] * 2
        for state, reference in zip(states, expected, strict=True):
            np.testing.assert_allclose(state, reference, atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("BASE_SIZE_TESTS"), reason="minutes and gigabytes; BASE_SIZE_TESTS=1 runs it")
@pytest.mark.parametrize("family", ["Wav2Vec2", "Hubert", "WavLM"])
def test_hidden_states_of_base_sizes(tmp_path, rng, capsys, family):
    """Prints a row of the table in docs/encoders.md: variant, backend, largest difference, largest hidden state."""
    model, network = converted(tmp_path, family, **BASE)
    differences, largest = [], 0.0
    for samples in (400, 719, 63_999):
        clips = rng.normal(0, 0.3, (1, samples)).astype(np.float32)
        *states, _ = ask(network, clips)
        for state, reference in zip(states, states_of(model, clips), strict=True):
            differences.append(np.abs(state - reference).max())
            largest = max(largest, np.abs(reference).max())
    with capsys.disabled():
        row = f"{len(differences) // 3} hidden states | {max(differences):.1e} | {largest:.1f}"
        print(f"\n| {family} base | {keras.backend.backend()} | {row} |")
    assert max(differences) < 1e-4


@pytest.mark.parametrize("family", ["Wav2Vec2", "WavLM"])
def test_masked_clips_are_those_of_transformers(tmp_path, rng, family):
    """With layer normalisation, where the published code leaves padding out as well."""
    model, network = converted(tmp_path, family, **LARGE)
    clips = rng.normal(0, 0.3, (2, 6_000)).astype(np.float32)
    clips[1, 3_500:] = 0
    *states, n_frames = ask(network, clips, [6_000, 3_500])
    mask = (np.arange(6_000) < np.array([[6_000], [3_500]])).astype(np.int64)
    for state, reference in zip(states, states_of(model, clips, mask), strict=True):
        for clip in range(2):
            real = slice(0, n_frames[clip])
            np.testing.assert_allclose(state[clip, real], reference[clip, real], atol=1e-4)


@pytest.mark.parametrize("family, settings", VARIANTS.values(), ids=VARIANTS)
def test_padding_never_changes_an_answer(tmp_path, rng, family, settings):
    _, network = converted(tmp_path, family, normalize=True, **settings)
    clip = rng.normal(0.1, 0.3, 4_321).astype(np.float32)
    alone = ask(network, clip[None])
    padded = np.stack([np.pad(clip, (0, 5_000), constant_values=7.0), rng.normal(size=9_321).astype(np.float32)])
    together = ask(network, padded, [4_321, 9_321])
    n_frames = alone[-1][0]
    assert together[-1][0] == n_frames == (4_321 - 400) // 320 + 1
    for one, other in zip(alone[:-1], together[:-1], strict=True):
        np.testing.assert_allclose(other[0, :n_frames], one[0], atol=2e-5)


def test_reference_padding_counts_padding_as_the_published_code_does(tmp_path, rng):
    model, network = converted(tmp_path)
    counting = speech_encoder(encoder_folder.read(tmp_path / "ours").config, reference_padding=True)
    counting.set_weights(network.get_weights())
    clips = rng.normal(0, 0.3, (2, 6_000)).astype(np.float32)
    clips[1, 3_500:] = 0
    for state, reference in zip(ask(counting, clips, [6_000, 3_500])[:-1], states_of(model, clips), strict=True):
        np.testing.assert_allclose(state, reference, atol=1e-4)
    assert np.abs(ask(network, clips, [6_000, 3_500])[0][1, :10] - reference[1, :10]).max() > 0.01


def test_waveforms_are_standardised_over_real_samples_where_the_encoder_was_trained_so(tmp_path, rng):
    model, network = converted(tmp_path, normalize=True)
    clip = rng.normal(0.5, 3.0, 4_000).astype(np.float32)
    standardised = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
    for state, reference in zip(ask(network, clip[None])[:-1], states_of(model, standardised[None]), strict=True):
        np.testing.assert_allclose(state, reference, atol=1e-4)


@pytest.mark.parametrize("family", ["Wav2Vec2", "Hubert", "WavLM"])
@pytest.mark.parametrize("problem", ["regression", None])
def test_sequence_classification_heads(tmp_path, rng, family, problem):
    names = {0: "angry", 1: "calm", 2: "sad"}
    options = {"id2label": names, "problem_type": problem, "classifier_proj_size": 10}
    weighted = problem is None and family == "Hubert"
    options |= {"use_weighted_layer_sum": weighted}
    model, network = converted(tmp_path, family, "ForSequenceClassification", **options)
    found = encoder_folder.read(tmp_path / "ours")
    assert found.head.labels == ("angry", "calm", "sad") and found.head.weighted_layers == weighted
    clips = rng.normal(0, 0.3, (2, 4_000)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.tensor(clips)).logits
    expected = (expected if problem else torch.softmax(expected, -1)).numpy()
    np.testing.assert_allclose(ask(network, clips)[0], expected, atol=1e-5)


def test_the_head_for_arousal_dominance_valence(tmp_path, rng):
    """As published by audEERING: the mean of all frames, a dense layer, tanh, three ratings."""
    from safetensors.numpy import load_file, save_file

    model = published(tmp_path / "hf", **LARGE)
    state = {f"wav2vec2.{name}": value for name, value in load_file(tmp_path / "hf" / "model.safetensors").items()}
    head = {"dense.weight": (32, 32), "dense.bias": (32,), "out_proj.weight": (3, 32), "out_proj.bias": (3,)}
    head = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in head.items()}
    state |= {f"classifier.{name}": value for name, value in head.items()}
    save_file(state, tmp_path / "hf" / "model.safetensors")
    settings = json.loads((tmp_path / "hf" / "config.json").read_text())
    settings["id2label"] = {"0": "arousal", "1": "dominance", "2": "valence"}
    (tmp_path / "hf" / "config.json").write_text(json.dumps(settings))
    encoder_folder.convert(tmp_path / "hf", tmp_path / "ours")
    found = encoder_folder.read(tmp_path / "ours")
    network = with_head(speech_encoder(found.config), found.head)
    encoder_folder.load_into(network, found)
    clips = rng.normal(0, 0.3, (2, 4_000)).astype(np.float32)
    mean = states_of(model, clips)[-1].mean(axis=1)
    expected = np.tanh(mean @ head["dense.weight"].T + head["dense.bias"]) @ head["out_proj.weight"].T
    np.testing.assert_allclose(ask(network, clips)[0], expected + head["out_proj.bias"], atol=1e-5)
    assert found.head.labels == ("arousal", "dominance", "valence") and found.head.regression


def test_gradients_are_those_of_transformers(tmp_path, rng):
    """Of the mean square of the last hidden states, for weights of every kind of layer."""
    if keras.backend.backend() == "jax":
        pytest.skip("jax.grad is exercised by training; here gradients are taken by tapes")
    model, network = converted(tmp_path, "WavLM", num_buckets=32, max_bucket_distance=40)
    clips = rng.normal(0, 0.3, (2, 4_000)).astype(np.float32)
    (model(torch.tensor(clips)).last_hidden_state ** 2).mean().backward()
    inputs = {"features": clips[..., None], "n_frames": np.array([4_000] * 2, np.int32)}
    theirs = {name: weight.grad.numpy() for name, weight in model.named_parameters() if weight.grad is not None}
    gradients = _gradients(network, inputs)
    from zoo.models.weights import wav2vec2

    compared = 0
    for name, place in wav2vec2.places(encoder_folder.read(tmp_path / "ours").config).items():
        if name in theirs:
            weight = getattr(network.get_layer(place.layer), place.weight)
            expected = place.ours(theirs[name])
            np.testing.assert_allclose(gradients[weight.path], expected, atol=1e-3 * max(1, np.abs(expected).max()))
            compared += 1
    assert compared > 60


def _gradients(network, inputs):
    weights = network.trainable_variables
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = ops.mean(ops.square(network(inputs, training=False)[-2]))
        found = tape.gradient(loss, [weight.value for weight in weights])
    else:
        ops.mean(ops.square(network(inputs, training=False)[-2])).backward()
        found = [weight.value.grad for weight in weights]
    return {w.path: ops.convert_to_numpy(g) for w, g in zip(weights, found, strict=True) if g is not None}


def test_written_back_it_is_what_was_published(tmp_path, rng):
    model, _ = converted(tmp_path, "WavLM", **LARGE)
    encoder_folder.write_back(encoder_folder.read(tmp_path / "ours"), tmp_path / "back")
    again = transformers.WavLMModel.from_pretrained(tmp_path / "back").eval()
    clips = rng.normal(0, 0.3, (1, 4_000)).astype(np.float32)
    for state, reference in zip(states_of(again, clips), states_of(model, clips), strict=True):
        np.testing.assert_allclose(state, reference, atol=1e-5)


def test_float16_halves_the_file_and_hardly_changes_answers(tmp_path, rng):
    _, network = converted(tmp_path)
    encoder_folder.convert(tmp_path / "hf", tmp_path / "half", "float16")
    sizes = [(tmp_path / name / "encoder.safetensors").stat().st_size for name in ("ours", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    smaller = speech_encoder(encoder_folder.read(tmp_path / "half").config)
    encoder_folder.load_into(smaller, encoder_folder.read(tmp_path / "half"))
    clips = rng.normal(0, 0.3, (1, 4_000)).astype(np.float32)
    np.testing.assert_allclose(ask(smaller, clips)[-2], ask(network, clips)[-2], atol=0.02)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_files_are_read(tmp_path, kind):
    from safetensors.torch import load_file, save_file

    published(tmp_path / "hf")
    path = tmp_path / "hf" / "model.safetensors"
    state = load_file(path)
    save_file({name: value.to(kind) for name, value in state.items()}, path)
    encoder_folder.convert(tmp_path / "hf", tmp_path / "ours")
    with hugging_face.Tensors(tmp_path / "hf") as tensors:
        name = "encoder.layers.0.attention.q_proj.weight"
        np.testing.assert_array_equal(tensors.read(name), state[name].to(kind).float().numpy())


def test_files_in_several_parts(tmp_path):
    model = published(tmp_path / "hf")
    (tmp_path / "hf" / "model.safetensors").unlink()
    model.save_pretrained(tmp_path / "hf", max_shard_size="50KB")
    assert len(list((tmp_path / "hf").glob("*.safetensors"))) > 1
    encoder_folder.convert(tmp_path / "hf", tmp_path / "ours")
    next((tmp_path / "hf").glob("model-00002*.safetensors")).unlink()
    with pytest.raises(UserError, match=r"names \d files, model-00002-of.* not there"):
        encoder_folder.convert(tmp_path / "hf", tmp_path / "again")


def spoil_settings(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


BAD = {
    "no config.json": (lambda folder: (folder / "config.json").unlink(), "config.json: absent"),
    "no preprocessor_config.json": (
        lambda folder: (folder / "preprocessor_config.json").unlink(),
        "preprocessor_config",
    ),
    "another architecture": (lambda folder: spoil_settings(folder, model_type="whisper"), "found 'whisper'"),
    "a variant": (lambda folder: spoil_settings(folder, conv_pos_batch_norm=True), "conv_pos_batch_norm is True"),
    "other sizes": (lambda folder: spoil_settings(folder, hidden_size=64), r"has shape .* expected .* by config.json"),
    "too few layers": (lambda folder: spoil_settings(folder, num_hidden_layers=2), "belong to no encoder"),
    "half downloaded": (cut, r"expected \d+ bytes, found \d+; fetch"),
    "a pointer": (
        lambda folder: (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n"),
        "large-file pointer of 43 bytes; run: git lfs pull",
    ),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "found neither"),
    "a pickle": (pickled, r"pytorch_model.bin, a pickle(.|\n)*save_pretrained"),
    "missing": (tensors_changed(encoder__layers__1__attention__k_proj__bias=None), "1.attention.k_proj.bias missing"),
    "unknown": (tensors_changed(encoder__adapter=np.zeros(3, np.float32)), "encoder.adapter belong to no encoder"),
    "whole numbers": (tensors_changed(encoder__layer_norm__bias=np.zeros(32, np.int64)), "is of I64"),
    "not finite": (tensors_changed(encoder__layer_norm__bias=np.full(32, np.nan, np.float32)), "not finite"),
}


@pytest.mark.parametrize("spoil, message", BAD.values(), ids=BAD)
def test_what_is_no_such_encoder_is_refused(tmp_path, spoil, message):
    published(tmp_path / "hf")
    spoil(tmp_path / "hf")
    with pytest.raises(UserError, match=message):
        encoder_folder.convert(tmp_path / "hf", tmp_path / "ours")
    assert not (tmp_path / "ours" / "encoder.json").exists()


def test_the_older_spelling_of_weight_normalisation(tmp_path):
    _, network = converted(tmp_path)
    from safetensors.numpy import load_file, save_file

    state = load_file(tmp_path / "hf" / "model.safetensors")
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for new, older in old.items():
        state = {name.replace(new, older): value for name, value in state.items()}
    save_file(state, tmp_path / "hf" / "model.safetensors")
    encoder_folder.convert(tmp_path / "hf", tmp_path / "old")
    found = speech_encoder(encoder_folder.read(tmp_path / "old").config)
    encoder_folder.load_into(found, encoder_folder.read(tmp_path / "old"))
    for one, other in zip(found.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_changed_weights_are_noticed(tmp_path):
    converted(tmp_path)
    path = tmp_path / "ours" / "encoder.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(UserError, match="changed since it was converted"):
        encoder_folder.read(tmp_path / "ours")


def test_parameters_of_published_sizes():
    """Of the published models, but the positional kernel's gain and the vector of masked frames."""
    base = EncoderConfig()
    assert speech_encoder(base).count_params() == 94_371_712 - 128 - 768
    wavlm = replace(base, family="wavlm")
    assert speech_encoder(wavlm).count_params() == 94_381_936 - 128 - 768
    assert base.least_samples == 400


def test_the_vector_of_masked_frames_is_kept_for_fine_tuning(tmp_path):
    model = published(tmp_path / "hf")
    assert encoder_folder.convert(tmp_path / "hf", tmp_path / "ours") == []
    found = encoder_folder.read(tmp_path / "ours")
    network = speech_encoder(found.config, training=InTraining(masked_frames=0.1))
    encoder_folder.load_into(network, found)
    expected = model.masked_spec_embed.detach().numpy()
    np.testing.assert_array_equal(ops.convert_to_numpy(network.get_layer("masked").embedding), expected)
    encoder_folder.write_back(found, tmp_path / "back")
    with hugging_face.Tensors(tmp_path / "back") as tensors:
        np.testing.assert_array_equal(tensors.read("masked_spec_embed"), expected)
