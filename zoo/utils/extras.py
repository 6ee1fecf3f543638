"""Name the optional packages: which extra of this distribution installs them, and one error where they are absent.

Commands call `need` before they begin to work, so that hours of it do not end with an absent package.
"""

from importlib.util import find_spec

from zoo.errors import UserError

DISTRIBUTION = "speech-emotion-zoo"
# extra in setup.cfg: the modules that it brings, as they are imported
EXTRAS = {
    "jax": ("jax",),
    "torch": ("torch",),
    "ray": ("ray",),
    "tensorboard": ("tensorboard",),
    "opensmile": ("opensmile",),
    "audformat": ("audformat",),
    "parquet": ("pyarrow",),
    "rooms": ("pyroomacoustics",),
    "weights": ("safetensors",),
    "onnx": ("onnx", "onnxruntime", "tf2onnx"),
    "openvino": ("openvino",),
    "litert": ("ai_edge_litert",),
    "serving": ("tensorflow_serving",),
    "web": ("starlette", "uvicorn"),
    "tfio": ("tensorflow_io",),
}
_LICENCES = {"opensmile": "; its licence allows research and other non-commercial use only"}


def absent(extra: str) -> list[str]:
    """Return the modules of an extra that are not installed. Imports none of them."""
    return [name for name in EXTRAS[extra] if find_spec(name) is None]


def need(extra: str, what: str, otherwise: str = "") -> None:
    """Raise UserError, which says what to install, where a package of an extra is absent.

    `what` needs it, such as "--ray auto"; `otherwise` is what to do without, such as "save the table as CSV".
    """
    if names := absent(extra):
        raise UserError(
            f"{what} needs {' and '.join(names)}, found none: {to_install(extra)}{_LICENCES.get(extra, '')}"
            f"{f'. Or {otherwise}' if otherwise else ''}"
        )


def to_install(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
