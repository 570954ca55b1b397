"""Pictures of training, in the manner of scikit-learn's displays.

``from_estimator`` (or another ``from_...``) computes and plots; ``plot`` plots again what a display
holds. Pictures need matplotlib, ``pip install 'scikit-rnn[plot]'``, which is imported by ``plot``
alone.
"""

from skrnn.inspection.gradient_flow import GradientFlowDisplay
from skrnn.inspection.loss_curve import LossCurveDisplay

__all__ = ["GradientFlowDisplay", "LossCurveDisplay"]
