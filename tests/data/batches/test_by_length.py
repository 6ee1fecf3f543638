"""Batches of neighbours in length keep order, count and values."""

import numpy as np
import pytest

from zoo.data.batches.by_length import in_batches, padded


@pytest.mark.parametrize(("multiple", "steps"), [(1, 51), (50, 100)])
def test_padding_is_zeros_to_a_multiple(multiple, steps):
    batch, lengths = padded([np.ones((3, 2)), np.ones((51, 2))], multiple)
    assert batch.shape == (2, steps, 2) and batch.dtype == np.float32
    assert lengths.tolist() == [3, 51] and lengths.dtype == np.int32
    assert batch.sum() == 2 * (3 + 51)


def test_results_are_in_order_and_batches_within_their_size():
    shapes = []

    def sums(batch, lengths):
        shapes.append(batch.shape)
        return [row[:length].sum() for row, length in zip(batch, lengths, strict=True)]

    lengths = [5, 1, 25, 4, 1, 5]
    rows = [np.full(length, 1 + number, np.float32) for number, length in enumerate(lengths)]
    assert in_batches(sums, rows, most_steps=12) == [row.sum() for row in rows]
    assert shapes == [(1, 25), (2, 5), (3, 4)]


def test_no_sequences_are_no_batches():
    assert in_batches(lambda *_: pytest.fail("called"), []) == []
