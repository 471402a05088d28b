"""POVMs: closed-form elements and duals, and refusals that name the fault."""

import numpy as np
import pytest

from qtomo.errors import Code
from qtomo.measurement.povm import PAULIS, POVM, named_povm, parse_axes
from tests.refusing import refused


@pytest.mark.parametrize("name", ["pauli4", "pauli6", "sic", "tetrahedral"])
def test_named_povms_are_complete_and_invertible(name: str) -> None:
    povm = named_povm(name)
    assert povm.is_complete
    rng = np.random.default_rng(0)
    g = rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2))
    rho = g @ g.conj().T / np.trace(g @ g.conj().T)
    probabilities = np.einsum("aij,ji->a", povm.elements, rho)
    np.testing.assert_allclose(np.einsum("a,aij->ij", probabilities, povm.duals()), rho, atol=1e-14)
    for letter in "XYZ":
        value = probabilities.real @ povm.outcome_values(PAULIS[letter])
        assert value == pytest.approx(np.trace(rho @ PAULIS[letter]).real, abs=1e-13)


@pytest.mark.parametrize("name", ["trine", "rebit"])
def test_povms_of_real_states_are_flagged(name: str) -> None:
    povm = named_povm(name)
    assert not povm.is_complete
    assert np.abs(povm.elements.imag).max() == 0
    with refused(Code.UNSUPPORTED, f"'{name}'"):
        povm.duals()


def test_pauli4_outcome_values_are_the_known_ones() -> None:
    povm = named_povm("pauli4")
    np.testing.assert_allclose(povm.outcome_values(PAULIS["Z"]), [5, -1, -1, -1], atol=1e-12)
    np.testing.assert_allclose(povm.outcome_values(PAULIS["X"]), [-1, 5, -1, -1], atol=1e-12)
    np.testing.assert_allclose(povm.outcome_values(PAULIS["Y"]), [-1, -1, 5, -1], atol=1e-12)


def _broken(change: str) -> np.ndarray:
    elements = np.array(named_povm("pauli4").elements)
    if change == "identity":
        elements[0] *= 1.01
    elif change == "positive":
        elements[0, 0, 0] -= 0.4
        elements[3, 0, 0] += 0.4
    elif change == "Hermitian":
        elements[1, 0, 1] += 0.1
    elif change == "finite":
        elements[2, 0, 0] = np.nan
    return elements


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (Code.UNPHYSICAL, "identity"),
        (Code.UNPHYSICAL, "positive"),
        (Code.UNPHYSICAL, "Hermitian"),
        (Code.VALUE, "finite"),
    ],
)
def test_a_set_that_is_no_measurement_is_refused(code, fault: str) -> None:
    with refused(code, fault):
        POVM(_broken(fault))


def test_elements_a_site() -> None:
    one = named_povm("pauli4").elements
    povm = POVM(np.stack([one, one[[3, 2, 1, 0]]]))
    assert povm.n_sites == 2
    with refused(Code.MISMATCH):
        povm.site_elements(3)


def test_z_basis_is_not_complete() -> None:
    povm = POVM(np.stack([np.diag([1, 0]), np.diag([0, 1])]), "z")
    assert not povm.is_complete
    with refused(Code.UNSUPPORTED):
        povm.duals()


def test_unknown_name_lists_the_known() -> None:
    with refused(Code.UNKNOWN, "pauli4"):
        named_povm("paul4")


def test_axes_turn_the_measurement() -> None:
    povm = named_povm("pauli4")
    turned = parse_axes(povm, ["-X,Y,Z@1"], 3)
    minus = 0.5 * (PAULIS["I"] - PAULIS["X"]) / 3
    np.testing.assert_allclose(turned.elements[1, 1], minus, atol=1e-15)
    np.testing.assert_allclose(turned.elements[[0, 2]], np.stack([povm.elements] * 2), atol=1e-15)
    swapped = povm.turned([[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    np.testing.assert_allclose(swapped.elements[[1, 0, 2]], povm.elements[[0, 1, 2]], atol=1e-15)
    assert turned.name == "pauli4 along -X,Y,Z@1"


def test_a_pole_opposite_the_polarisation_cuts_the_variance_threefold() -> None:
    """<X> = 0.66, as at the critical point: second moments 5 + 4<X> and 5 - 4<X>."""
    rho = 0.5 * (PAULIS["I"] + 0.66 * PAULIS["X"])
    moments = []
    for axes in ("X,Y,Z", "-X,Y,Z"):
        povm = parse_axes(named_povm("pauli4"), [axes], 1)
        probabilities = np.einsum("aij,ji->a", povm.elements, rho).real
        moments.append(probabilities @ povm.outcome_values(PAULIS["X"]) ** 2)
    np.testing.assert_allclose(moments, [5 + 4 * 0.66, 5 - 4 * 0.66], atol=1e-12)
    assert moments[0] / moments[1] > 3


@pytest.mark.parametrize(
    ("text", "code"),
    [*((text, Code.SYNTAX) for text in ("X,Y", "X,X,Z", "X,Y,W", "--X,Y,Z", "X,Y,Z@a")), ("X,Y,Z@3", Code.VALUE)],
)
def test_axes_that_are_none_are_refused(text: str, code: Code) -> None:
    with refused(code):
        parse_axes(named_povm("pauli4"), [text], 3)
    with refused(Code.UNPHYSICAL):
        named_povm("sic").turned(np.ones((3, 3)))


def test_which_povms_fit_settings() -> None:
    assert named_povm("pauli6").measures_bases
    assert not named_povm("pauli4").measures_bases
    assert not POVM(named_povm("pauli6").elements[[0, 2, 1, 3, 4, 5]]).measures_bases
