from .comparison import Comparison as Comparison
from .comparison import compare_runs as compare_runs
from .evaluation import Evaluation as Evaluation
from .evaluation import evaluate as evaluate
