from .comparison import Comparison as Comparison
from .comparison import compare as compare
from .evaluation import Evaluation as Evaluation
from .evaluation import evaluate as evaluate
