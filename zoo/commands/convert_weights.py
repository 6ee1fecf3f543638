"""Convert published weights of AlexNet, VGG16 or VGG19 into one .npz file, from which deep-spectrum features are made.

    python scripts/convert_weights.py vgg16 imagenet-vgg-verydeep-16.mat --out weights/vgg16.npz
    python scripts/convert_weights.py alexnet imagenet-caffe-alex.mat --out weights/alexnet.npz
    python scripts/convert_weights.py vgg19 vgg19.safetensors --out weights/vgg19.npz

Reads MatConvNet's .mat, torchvision's VGG in .safetensors or .npz, and Keras's .h5. Every tensor's name and shape is
checked. Pickled files (.pth) are refused, with two lines that make an .npz of one.
"""

from pathlib import Path

from zoo.utils.parser import Parser


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("network", help="alexnet, vgg16 or vgg19")
    parser.add_argument("weights", type=Path, help="published file")
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    args = parser.parse_args()

    from zoo.models.image_networks import layout
    from zoo.models.weights.image import checksum, convert
    from zoo.utils.text import printable

    convert(args.weights, layout(args.network), args.out)
    print(f"converted: {printable(str(args.out))} (SHA-256 {checksum(args.out)})")
