from .estimate import Estimate as Estimate
from .two_sample import KernelTest as KernelTest
from .two_sample import TwoSampleTest as TwoSampleTest
from .two_sample import classifier_two_sample_test as classifier_two_sample_test
from .two_sample import divergence_bounds as divergence_bounds
from .two_sample import kernel_two_sample_test as kernel_two_sample_test
