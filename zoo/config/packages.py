"""Check that the optional packages that a configuration needs are installed, before work begins."""

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.utils import extras


def check(config: RunConfig) -> None:
    """Raise UserError where the features of the configuration's network need a package that is absent."""
    if not registry.get(config.model).takes_waveforms:
        extras.need("opensmile", f"--model {config.model}, whose features are openSMILE's,", "choose another network")
