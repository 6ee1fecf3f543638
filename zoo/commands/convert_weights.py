"""Convert published weights: of a speech encoder into a folder, of an image network into one .npz file.

    python scripts/convert_weights.py FOLDER --out weights/wavlm-base-plus     # wav2vec 2.0, HuBERT or WavLM
    python scripts/convert_weights.py FOLDER --out weights/half --dtype float16
    python scripts/convert_weights.py weights/wavlm-base-plus --back --out published    # as it was published
    python scripts/convert_weights.py --random wavlm-tiny --out weights/random          # to try the program
    python scripts/convert_weights.py --network vgg16 imagenet-vgg-verydeep-16.mat --out weights/vgg16.npz

A speech encoder's FOLDER holds config.json, preprocessor_config.json and safetensors files, as it is published. Every
tensor's name and shape is checked. For image networks (alexnet, vgg16, vgg19) MatConvNet's .mat, torchvision's VGG in
.safetensors or .npz, and Keras's .h5 are read. Pickled files (.bin, .pt, .pth) are refused, with two lines that make a
file of another format elsewhere.
"""

from argparse import Namespace
from pathlib import Path

from zoo.errors import UserError
from zoo.utils.parser import Parser
from zoo.utils.text import printable


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("source", type=Path, nargs="?", help="published folder, or with --network a file")
    parser.add_argument("--network", help="image network whose weights these are: alexnet, vgg16 or vgg19")
    parser.add_argument("--random", metavar="FAMILY-SIZE", help="write random weights, such as wavlm-base")
    parser.add_argument("--back", action="store_true", help="write a converted encoder as it was published")
    choices = ("float32", "float16")
    parser.add_argument("--dtype", choices=choices, default="float32", help="how to store them (default: float32)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, or with --network an .npz")
    args = parser.parse_args()
    if (args.source is None) != bool(args.random):
        raise UserError("expected a published folder or --random FAMILY-SIZE, and one of them alone")
    if args.network:
        _image_network(args)
    else:
        _encoder(args)


def _image_network(args: Namespace) -> None:
    from zoo.models.image_networks import layout
    from zoo.models.weights.image import checksum, convert

    convert(args.source, layout(args.network), args.out)
    print(f"converted: {printable(str(args.out))} (SHA-256 {checksum(args.out)})")


def _encoder(args: Namespace) -> None:
    from zoo.models.weights import encoder_folder

    unused: list[str] = []
    if args.random:
        family, _, size = args.random.partition("-")
        encoder_folder.make_random(family, size, args.out)
    elif args.back:
        encoder_folder.write_back(encoder_folder.read(args.source), args.out)
        print(f"written: {printable(str(args.out))}")
        return
    else:
        unused = encoder_folder.convert(args.source, args.out, args.dtype)
    found = encoder_folder.read(args.out)
    if unused:
        print(f"left out, of pre-training: {printable(', '.join(unused))}")
    head = f", a head of {printable(', '.join(found.head.labels))}" if found.head else ""
    layers = f"{found.config.n_layers} layers of {found.config.hidden}{head}"
    print(f"converted: {printable(str(args.out))}: {found.config.family}, {layers}; licence {printable(found.licence)}")
