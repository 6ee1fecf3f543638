"""Compare the reference of emotion2vec with FunASR's module, on random weights; prints the largest differences.

    pip install --target SITE --no-deps funasr==1.4.16 omegaconf==2.3.1 antlr4-python3-runtime==4.9.3 kaldiio==2.18.1
    PYTHONPATH=SITE:tests/helpers python tests/helpers/emotion2vec_against_funasr.py

No test runs this: see `emotion2vec_reference`.
"""

import sys
import types
from dataclasses import replace
from importlib.machinery import PathFinder

import emotion2vec_reference as reference
import torch
from yaml import safe_load


def funasr_model(sizes: reference.Sizes, tensors):
    """FunASR's Emotion2vec with these tensors. Its package imports all its models; only this one is imported here."""
    package = types.ModuleType("funasr")
    package.__path__ = list(PathFinder.find_spec("funasr").submodule_search_locations)
    sys.modules["funasr"] = package
    from funasr.models.emotion2vec.model import Emotion2vec

    conf = safe_load(reference.config_yaml(sizes))["model_conf"]
    conf["norm_eps"] = float(conf["norm_eps"])
    model = Emotion2vec(model_conf=conf, vocab_size=len(reference.LABELS)).eval()
    absent, unknown = model.load_state_dict(tensors, strict=False)
    assert not unknown and all(".decoder." in name for name in absent), (absent, unknown)
    return model


def states_of(model, sizes, waveforms, counts=None):
    found, places = [], [*model.modality_encoders["AUDIO"].context_encoder.blocks, *model.blocks]
    hooks = [places[0].register_forward_pre_hook(lambda block, inputs: found.append(inputs[0]))]
    hooks += [place.register_forward_hook(lambda block, inputs, outputs: found.append(outputs[0])) for place in places]
    mask = None if counts is None else torch.arange(waveforms.shape[1]) >= torch.tensor(counts)[:, None]
    if sizes.normalize:  # one clip at a time, as its `inference` does
        waveforms = torch.stack([torch.nn.functional.layer_norm(one, one.shape) for one in waveforms])
    last = model.extract_features(waveforms, padding_mask=mask)["x"]
    for hook in hooks:
        hook.remove()
    found = [one[:, sizes.num_extra_tokens :] for one in found]
    assert torch.equal(found[-1], last)
    return found


def compare(title: str, sizes: reference.Sizes) -> None:
    tensors = reference.random_tensors(sizes)
    model = funasr_model(sizes, tensors)
    own = {name: tensor.clone().requires_grad_() for name, tensor in tensors.items()}
    worst = 0.0
    for samples, counts in ((400, None), (719, None), (16_001, None), (6_000, (6_000, 3_500))):
        waveforms = 0.3 * torch.randn(2, samples)
        theirs, ours = states_of(model, sizes, waveforms, counts), reference.states(own, sizes, waveforms, counts)
        for one, other in zip(theirs, ours, strict=True):
            for clip in range(2):
                real = reference.n_frames(counts[clip] if counts else samples)
                worst = max(worst, (one[clip, :real] - other[clip, :real]).abs().max().item())
    head = torch.softmax(model.proj(theirs[-1].mean(1)), -1) - reference.probabilities(own, ours[-1])
    (theirs[-1] ** 2).mean().backward()
    (ours[-1] ** 2).mean().backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    slopes = max((gradient - own[name].grad).abs().max().item() for name, gradient in gradients.items())
    print(f"{title}: hidden states {worst:.1e}, head {head.abs().max():.1e}, {len(gradients)} gradients {slopes:.1e}")


if __name__ == "__main__":
    torch.manual_seed(0)
    tiny = reference.Sizes()
    compare("tiny", tiny)
    compare("tiny, normalised waveforms", replace(tiny, normalize=True))
    compare("tiny, a scale per layer", replace(tiny, learned_alibi_scale_per_layer=True))
    compare("tiny, one scale for all heads", replace(tiny, learned_alibi_scale_per_head=False))
    compare("tiny, six heads", replace(tiny, embed_dim=48, num_heads=6))
    compare("base", reference.BASE)
