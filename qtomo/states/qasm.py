"""Circuits in OpenQASM 2 and 3, read by Qiskit, as gates of one or two qubits.

A file may come from a stranger. What it could cost is bounded before Qiskit sees it: its length, its registers, the
files it includes, and how many gates Qiskit would make as it reads. Qubits are numbered as they are declared, which is
Qiskit's own order, and qubit i is site i.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import Code, InputError

__all__ = ["LARGEST_SOURCE", "Gate", "declared_qubits", "read_gates"]

#: Bytes of a circuit's text at most.
LARGEST_SOURCE = 2**19

_MOST_QUBITS = 1000
_MOST_BITS = 100_000
_MOST_GATES = 100_000
_MOST_CONTROLS = 4  # that modifiers of OpenQASM 3 add to one gate
_INCLUDED = ("qelib1.inc", "stdgates.inc")
_EXPECTED = "expected gates, barriers and measurements at the end"

_SIZE = r"\[\s*(\d{1,9})\s*\]"
#: Registers as they are declared, by keyword; OpenQASM 3 knows the older ones too.
_REGISTERS = {
    "qreg": rf"qreg\s+\w+\s*(?:{_SIZE})?\s*;",
    "creg": rf"creg\s+\w+\s*(?:{_SIZE})?\s*;",
    "qubit": rf"qubit\s*(?:{_SIZE})?\s*\w+\s*;",
    "bit": rf"bit\s*(?:{_SIZE})?\s*\w+\s*[;=]",
}

#: What Qiskit calls that which is no unitary, in words.
_NO_GATES = {
    "reset": "a reset",
    "if_else": "classical control",
    "for_loop": "a loop",
    "while_loop": "a loop",
    "switch_case": "classical control",
}

#: The same for what OpenQASM 3 calls its statements.
_STATEMENTS = {
    "QuantumReset": "a reset",
    "BranchingStatement": "classical control",
    "SwitchStatement": "classical control",
    "ForInLoop": "a loop",
    "WhileLoop": "a loop",
}


class Gate(NamedTuple):
    """A unitary of one or two qubits.

    Args:
        matrix: complex (2, 2) or (4, 4), the first site's index the slower one.
        sites: one or two, in any order.
    """

    matrix: NDArray[np.complex128]
    sites: tuple[int, ...]


def declared_qubits(source: str) -> int:
    """The number of qubits that a circuit declares, found without Qiskit.

    Raises:
        InputError: no OpenQASM 2 or 3, too long, other files included, no qubits or too many.

    >>> declared_qubits("OPENQASM 2.0; qreg q[2]; qreg r[1];")
    3
    """
    size = len(source.encode(errors="replace"))
    if size > LARGEST_SOURCE:
        raise InputError(Code.TOO_LARGE, f"a circuit of {size:,} bytes, expected at most {LARGEST_SOURCE:,}")
    text = _without_comments(source)
    for name in re.findall(r"\binclude\b\s*[\"']?([^\"';]*)", text):
        if name not in _INCLUDED:
            raise InputError(
                Code.UNSUPPORTED, f"a circuit includes '{name[:80]}', expected no files but {' and '.join(_INCLUDED)}"
            )
    sizes = {"qreg": 0, "creg": 0} | ({"qubit": 0, "bit": 0} if _version(text) == 3 else {})
    for found in re.finditer(rf"\b({'|'.join(sizes)})\b", text):
        declared = re.compile(_REGISTERS[found[1]]).match(text, found.start())
        if declared is None:
            line = text.count("\n", 0, found.start()) + 1
            raise InputError(
                Code.SYNTAX, f"line {line}: '{found[1]}' without a plain size, expected such as 'qreg q[3];'"
            )
        sizes[found[1]] += int(declared[1] or 1)
    n_qubits, n_bits = sizes["qreg"] + sizes.get("qubit", 0), sizes["creg"] + sizes.get("bit", 0)
    if not 1 <= n_qubits <= _MOST_QUBITS:
        raise InputError(Code.TOO_LARGE, f"a circuit of {n_qubits:,} qubits, expected 1 to {_MOST_QUBITS:,}")
    if n_bits > _MOST_BITS:
        raise InputError(Code.TOO_LARGE, f"a circuit of {n_bits:,} classical bits, expected at most {_MOST_BITS:,}")
    return n_qubits


def read_gates(source: str) -> list[Gate]:
    """The gates of a circuit in order, larger ones taken apart; measurements at the end are left out.

    Raises:
        InputError: Qiskit is missing or cannot read the text; too many gates; a measurement before the end, a reset,
            classical control, or a gate without a definition.

    >>> bell = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; h q[0]; cx q[0],q[1];'
    >>> [gate.sites for gate in read_gates(bell)]
    [(0,), (0, 1)]
    """
    n_qubits = declared_qubits(source)
    text = _without_comments(source)
    circuit = _read_2(text) if _version(text) == 2 else _read_3(text)
    if circuit.num_qubits != n_qubits:
        raise InputError(Code.SYNTAX, f"a circuit of {circuit.num_qubits} qubits, {n_qubits} of them declared")
    try:
        return list(_gates(circuit))
    except InputError:
        raise
    except Exception as error:  # of a gate that Qiskit reads and cannot take apart
        raise _unreadable(error) from None


def _without_comments(source: str) -> str:
    """The text without comments, every line where it was."""

    def blank(comment: re.Match[str]) -> str:
        return " " + "\n" * comment[0].count("\n")

    return re.sub(r"//[^\n]*|/\*.*?(?:\*/|\Z)", blank, source, flags=re.DOTALL)


def _version(text: str) -> int:
    found = re.match(r"\s*OPENQASM\s+([23])(?:\.\d+)?\s*;", text)
    if found is None:
        raise InputError(Code.SYNTAX, "a circuit without 'OPENQASM 2.0;' or 'OPENQASM 3.0;' at its start")
    return int(found[1])


def _missing(error: ImportError) -> InputError:
    return InputError(
        Code.ENVIRONMENT, f"a circuit is read by Qiskit, which is not installed ({error}): pip install 'qtomo[qiskit]'"
    )


def _unreadable(error: Exception) -> InputError:
    said = " ".join(str(error).split())[:200] or "no OpenQASM"
    return InputError(Code.SYNTAX, f"a circuit that Qiskit cannot read: {said}")


def _read_2(text: str) -> Any:
    """Qiskit's circuit of OpenQASM 2, whose own gates are not yet taken apart."""
    try:
        from qiskit import qasm2
    except ImportError as error:
        raise _missing(error) from None
    sizes = {found[1]: int(found[2]) for found in re.finditer(rf"\bqreg\s+(\w+)\s*{_SIZE}", text)}
    whole = (sizes.get(word, 0) for word in re.findall(r"\b\w+\b(?!\s*\[)", text))  # a gate on each qubit
    if text.count(";") + sum(whole) > _MOST_GATES:
        raise InputError(Code.TOO_LARGE, f"a circuit of more than {_MOST_GATES:,} gates")
    try:
        return qasm2.loads(text, include_path=(), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    except Exception as error:  # whatever a stranger's text may lead to
        raise _unreadable(error) from None


def _read_3(text: str) -> Any:
    """Qiskit's circuit of OpenQASM 3, once sure of what its statements are."""
    try:
        import openqasm3
        from qiskit_qasm3_import import convert
    except ImportError as error:
        raise _missing(error) from None
    try:
        program = openqasm3.parse(text)
        _check_3(program.statements)
        return convert(program)
    except InputError:
        raise
    except Exception as error:  # as above, a depth that Python's stack does not have among them
        raise _unreadable(error) from None


def _check_3(statements: list[Any]) -> None:
    """Refuse statements other than gates and measurements, and more gates than there may be once taken apart."""
    sizes: dict[str, int] = {}  # by register
    own: dict[str, int] = {}  # gates in each gate that the text defines
    total = 0
    for statement in statements:
        kind, line = type(statement).__name__, statement.span.start_line
        if kind == "QubitDeclaration":
            sizes[statement.qubit.name] = statement.size.value if statement.size else 1
        elif kind == "QuantumGateDefinition":
            own[statement.name.name] = sum(_cost(inner, own) for inner in statement.body)
        elif kind in ("QuantumGate", "QuantumPhase"):
            total += max((_width(qubit, sizes) for qubit in statement.qubits), default=1) * _cost(statement, own)
        elif kind not in ("Include", "ClassicalDeclaration", "QuantumBarrier", "QuantumMeasurementStatement"):
            words = _STATEMENTS.get(kind, f"a statement of type {kind}")
            raise InputError(Code.UNSUPPORTED, f"line {line}: the circuit has {words}, {_EXPECTED}")
        if max(total, *own.values(), 0) > _MOST_GATES:
            raise InputError(Code.TOO_LARGE, f"line {line}: a circuit of more than {_MOST_GATES:,} gates")


def _width(argument: Any, sizes: dict[str, int]) -> int:
    """Qubits at most that an argument of a gate stands for, one gate each: a register, or a part or a qubit of one."""
    if type(argument).__name__ == "Identifier":
        return sizes.get(argument.name, 1)
    indices = [index for part in argument.indices if isinstance(part, list) for index in part]
    if len(indices) == 1 and type(indices[0]).__name__ == "IntegerLiteral":
        return 1
    return sizes.get(argument.name.name, 1)


def _cost(statement: Any, own: dict[str, int]) -> int:
    """Gates in a gate of OpenQASM 3, once sure of its modifiers."""
    kind, line = type(statement).__name__, statement.span.start_line
    if kind == "QuantumBarrier":
        return 1
    if kind not in ("QuantumGate", "QuantumPhase"):
        raise InputError(
            Code.UNSUPPORTED, f"line {line}: a gate's definition has a statement of type {kind}, expected gates"
        )
    name, controls = statement.name.name if kind == "QuantumGate" else "", 0
    for modifier in statement.modifiers:
        word = modifier.modifier.name
        if word == "pow" and name in own:
            raise InputError(
                Code.UNSUPPORTED, f"line {line}: a power of '{name}', expected powers of standard gates alone"
            )
        if word in ("ctrl", "negctrl"):
            value = getattr(modifier.argument, "value", None) if modifier.argument is not None else 1
            controls += value if isinstance(value, int) else _MOST_CONTROLS + 1
    if controls > _MOST_CONTROLS:
        raise InputError(
            Code.TOO_LARGE, f"line {line}: more controls than the {_MOST_CONTROLS} that modifiers may add to a gate"
        )
    return max(1, own.get(name, 1)) * int(8**controls)


def _gates(circuit: Any) -> Iterator[Gate]:
    """The gates of Qiskit's circuit, those of more than two qubits and those that the text defines taken apart."""
    from qiskit.circuit import Gate as AnyGate
    from qiskit.circuit.library import UnitaryGate, get_standard_gate_name_mapping

    known = {gate.base_class for gate in get_standard_gate_name_mapping().values() if isinstance(gate, AnyGate)}
    waiting = _instructions(circuit, range(circuit.num_qubits))
    measured: set[int] = set()
    for _ in range(_MOST_GATES + 1):
        if not waiting:
            return
        operation, sites = waiting.pop()
        if operation.name == "measure":
            measured.update(sites)
        elif operation.name == "barrier" or (isinstance(operation, AnyGate) and not sites):
            continue
        elif not isinstance(operation, AnyGate):
            words = _NO_GATES.get(operation.name, f"'{operation.name}'")
            raise InputError(Code.UNSUPPORTED, f"the circuit has {words}, {_EXPECTED}")
        elif not measured.isdisjoint(sites):
            site = min(measured.intersection(sites))
            raise InputError(
                Code.UNSUPPORTED, f"the circuit measures qubit {site} before its gate '{operation.name}', {_EXPECTED}"
            )
        elif len(sites) <= 2 and (operation.base_class in known or isinstance(operation, UnitaryGate)):
            yield _gate(operation, sites)
        elif operation.definition is None:
            raise InputError(Code.UNSUPPORTED, f"the circuit's gate '{operation.name}' has no definition")
        else:
            waiting += _instructions(operation.definition, sites)
    raise InputError(Code.TOO_LARGE, f"a circuit of more than {_MOST_GATES:,} gates")


def _instructions(circuit: Any, sites: Any) -> list[tuple[Any, tuple[int, ...]]]:
    """What a circuit or a definition does, last first, with its qubits by site."""
    places = dict(zip(circuit.qubits, sites, strict=True))
    return [(one.operation, tuple(places[qubit] for qubit in one.qubits)) for one in reversed(circuit.data)]


def _gate(operation: Any, sites: tuple[int, ...]) -> Gate:
    try:
        matrix = np.asarray(operation.to_matrix(), dtype=np.complex128)
    except (ValueError, OverflowError):
        matrix = np.array(np.nan)
    if not np.isfinite(matrix).all():
        raise InputError(
            Code.VALUE, f"the circuit's gate '{operation.name}' has parameters that are not finite numbers"
        )
    if len(sites) == 2:  # Qiskit has the first qubit's index the faster one
        matrix = matrix.reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4)
    return Gate(matrix, sites)
