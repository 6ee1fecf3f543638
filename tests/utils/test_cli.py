"""Words of a command line that argparse would misread."""

import pytest

from zoo.utils.cli import joined_values


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["--level", "-0.1,0.05", "x.wav"], ["--level=-0.1,0.05", "x.wav"]),
        (["--level=-1,2"], ["--level=-1,2"]),
        (["--snr", "-5", "0"], ["--snr", "-5", "0"]),  # argparse reads plain numbers
        (["x,y.wav", "-.5,1", "-v"], ["x,y.wav", "-.5,1", "-v"]),
    ],
)
def test_a_list_that_begins_with_a_negative_number_is_joined_with_its_option(words, joined):
    assert joined_values(words) == joined
