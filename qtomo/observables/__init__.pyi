from .estimates import estimate_observables as estimate_observables
from .estimates import record_values as record_values
from .paulis import Observable as Observable
from .paulis import chain_observables as chain_observables
from .paulis import exact_value as exact_value
from .paulis import pauli as pauli
