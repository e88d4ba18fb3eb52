"""Elements and their channels."""

import numpy as np
import pytest
import tensorflow as tf
from rdkit import Chem

from pg_tf.elements import ORGANIC, SYMBOLS, ElementChannels, atomic_number


def test_symbols_agree_with_rdkit_for_all_elements() -> None:
    table = Chem.GetPeriodicTable()
    assert len(SYMBOLS) == 119
    assert [table.GetElementSymbol(number) for number in range(1, 119)] == list(SYMBOLS[1:])
    assert [atomic_number(symbol) for symbol in SYMBOLS[1:]] == list(range(1, 119))


@pytest.mark.parametrize("symbol", ["", "CL", "c", "Xx", "D"])
def test_atomic_number_is_an_error_where_there_is_no_such_element(symbol: str) -> None:
    with pytest.raises(ValueError, match=f"symbol: '{symbol}' is not an element"):
        atomic_number(symbol)


def test_organic_channels_have_the_order_of_the_original_benchmark() -> None:
    numbers = [6, 7, 8, 16, 9, 17, 35, 1]
    assert ORGANIC.names == ("C", "N", "O", "S", "F", "Cl", "Br", "H")
    assert ORGANIC.channels(numbers).tolist() == list(range(8))


def test_channels_keep_shape_and_mark_padding() -> None:
    channels = ORGANIC.channels(np.array([[6, 1, 0], [8, 0, 0]]))
    assert channels.dtype == np.int32
    assert channels.tolist() == [[0, 7, -1], [2, -1, -1]]
    assert ORGANIC.channels([]).shape == (0,)


def test_grouped_elements_share_a_channel() -> None:
    channels = ElementChannels(("C", "F+Cl+Br+I", "H"))
    assert channels.num_channels == 3
    assert channels.channels([6, 9, 17, 35, 53, 1]).tolist() == [0, 1, 1, 1, 1, 2]


def test_unlisted_elements_go_to_the_named_channel() -> None:
    channels = ElementChannels(("C", "H"), unknown="other")
    assert channels.names == ("C", "H", "other")
    assert channels.channels([6, 1, 14, 118]).tolist() == [0, 1, 2, 2]


def test_unlisted_element_is_an_error_that_names_molecule_atom_and_element() -> None:
    with pytest.raises(ValueError, match=r"molecule 2, atom 1 is Si \(atomic number 14\).*unknown='other'"):
        ORGANIC.channels([6, 6, 1, 14, 6], row_splits=[0, 2, 2, 5])
    with pytest.raises(ValueError, match="molecule 1, atom 0 is Si"):
        ORGANIC.channels([[6, 6], [14, 6]])
    with pytest.raises(ValueError, match="atom 3 is Si"):
        ORGANIC.channels([6, 6, 1, 14])


@pytest.mark.parametrize("number", [-1, 119, 2**40])
def test_number_that_is_no_element_is_an_error_even_with_a_channel_for_unknown_ones(number: int) -> None:
    with pytest.raises(ValueError, match=f"atom 1 has {number}"):
        ElementChannels.single().channels([6, number])


def test_floating_point_atomic_numbers_are_an_error() -> None:
    with pytest.raises(ValueError, match="atomic_numbers: must be integers, got dtype float64"):
        ORGANIC.channels([6.0, 1.0])


def test_single_puts_every_element_in_one_channel() -> None:
    single = ElementChannels.single()
    assert single.num_channels == 1
    assert not single.channels(np.arange(1, 119)).any()


def test_lookup_table_in_tensorflow_agrees_and_never_hides_an_unlisted_element() -> None:
    numbers = np.array([[6, 35, 0], [1, 16, 8]])
    gathered = tf.gather(ORGANIC.lookup_table, numbers)
    np.testing.assert_array_equal(gathered, ORGANIC.channels(numbers))
    assert ORGANIC.lookup_table[14] == ORGANIC.num_channels


@pytest.mark.parametrize(
    ("symbols", "unknown", "text"),
    [
        ((), None, "there is no channel"),
        (("C", "Cc"), None, "'Cc' is not an element"),
        (("C", "N+C"), None, "'C' is listed more than once"),
        (("C+C",), None, "'C' is listed more than once"),
        (("C", "H"), "H", "unknown: 'H' is a channel already"),
        ("CNO", None, "is a string"),
    ],
)
def test_bad_lists_of_elements_are_errors(symbols: tuple[str, ...], unknown: str | None, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ElementChannels(symbols, unknown)


def test_equal_lists_are_equal_and_hashable() -> None:
    assert ElementChannels(("C", "H")) == ElementChannels(["C", "H"])  # type: ignore[arg-type]
    assert len({ORGANIC, ElementChannels(ORGANIC.symbols)}) == 1
