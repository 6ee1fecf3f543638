"""Define the settings of networks on speech encoders: what is taken of one, and how it is fine-tuned."""

from dataclasses import dataclass

from zoo.config.fields import flag as _flag


@dataclass(frozen=True)
class EncoderFields:
    """Fields of RunConfig, each a flag. Those of fine-tuning are for networks that hold the encoder itself."""

    weights: str = _flag("", "weights", "file of an image network, or folder of an encoder (docs/encoders.md)")
    encoder_layer: str = _flag("all", "encoder", "its hidden states: all, last, middle, or a number", later=True)
    encoder_frames: bool = _flag(False, "clip_frames", "keep the frames of one layer, not their mean", later=True)

    lora: int = _flag(
        0,
        "tuned_encoder",
        "with --fine-tune, train matrices of this rank beside the attention projections of its layers in place of "
        "their weights (Hu et al. 2022); 0: the weights",
        least=0,
        most=1024,
        later=True,
    )
    encoder_rate: float = _flag(
        1.0,
        "tuned_encoder",
        "learning rate of a fine-tuned encoder as a share of the head's (Howard and Ruder 2018)",
        least=1e-6,
        most=1e6,
        later=True,
    )
    layer_decay: float = _flag(
        1.0, "tuned_encoder", "factor of it from each layer to the one below", least=0.01, most=1.0, later=True
    )
    warm_up: float = _flag(
        0.0,
        "training",
        "share of steps in which the rate rises from 0, before a cosine",
        least=0.0,
        most=0.9,
        later=True,
    )
