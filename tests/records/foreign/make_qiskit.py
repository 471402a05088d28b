"""Three settings of a product state by Qiskit, as a whole result, as counts and as memory."""

import json
from pathlib import Path

from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

HERE = Path(__file__).parent
LABELS = ["XZZ", "ZZZ", "YZX"]


def circuit(label: str) -> QuantumCircuit:
    built = QuantumCircuit(3, 3, name=f"basis_{label}", metadata={"basis": label})
    built.x(0)
    built.h(1)
    for qubit, letter in enumerate(label):
        if letter == "Y":
            built.sdg(qubit)
        if letter in "XY":
            built.h(qubit)
    built.measure(range(3), range(3))
    return built


result = AerSimulator(seed_simulator=7).run([circuit(label) for label in LABELS], shots=20, memory=True).result()
whole = result.to_dict()
kept = {name: whole[name] for name in ("backend_name", "backend_version", "status", "success", "results")}
for experiment in kept["results"]:
    del experiment["metadata"], experiment["time_taken"]
files = {
    "result.json": kept,
    "counts.json": [
        {"basis": label, "counts": dict(counts)} for label, counts in zip(LABELS, result.get_counts(), strict=True)
    ],
    "memory.json": [{"basis": label, "memory": result.get_memory(i)} for i, label in enumerate(LABELS)],
}
for name, content in files.items():
    (HERE / name).write_text(json.dumps(content, default=lambda value: getattr(value, "item", value.__str__)()))
