"""Exports as the start of a training."""

import numpy as np
import pytest

from zoo import registry
from zoo.config.flags import from_flags
from zoo.errors import UserError
from zoo.inference.exchanged import exchanged
from zoo.runs.dataset import resolve
from zoo.training import initial_model


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        for array, expected in zip(one[name], other[name], strict=True):
            np.testing.assert_array_equal(array, expected)


def test_export_and_run_give_the_same_start(emotion):
    run, version = emotion
    settings = resolve(from_flags({"model": "fcn", "corpus": "emodb", "synthetic": True, "bands": 12}))
    for fold in ("0", "1"):
        of_run, of_export = (
            initial_model.read(resolve(replaced(settings, place, fold)), "5-12") for place in (run, version.parent)
        )
        same(of_export.layers, of_run.layers)
        assert of_export.outputs == of_run.outputs and of_export.frontend == of_run.frontend
        for name in ("model", "corpus", "fold", "licence", "protocol"):
            assert of_export.about[name] == of_run.about[name]
        assert (of_export.about["kind"], of_export.moments) == ("export", None)


def replaced(settings, place, fold):
    return from_flags({**settings.saved(), "init_from": str(place), "init_fold": fold})


def test_an_export_of_another_frontend_is_refused(emotion):
    settings = from_flags({"model": "conv_lstm", "corpus": "recola", "synthetic": True, "init_from": str(emotion[1])})
    with pytest.raises(UserError, match="its front-end is LogMel, and conv_lstm has another"):
        initial_model.read(settings, "0-x")


@pytest.mark.parametrize("name", ["attention_blstm_fcn_1layer", "residual_bigru"])
def test_variables_of_recurrent_layers_are_in_the_order_of_their_weights(name):
    """Both directions have arrays of the same shapes."""
    options = {"residual_bigru": {"filters": [4], "recurrent_units": 3}}.get(name, {"recurrent_units": 3})
    network = registry.build(name, 3, 8, **options)
    variables = [variable.value for variable in exchanged(network).variables]
    (found,) = initial_model.by_layer(variables)
    same(found, initial_model.weights_of(network))
