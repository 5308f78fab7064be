"""A second look at planned contrasts: logistic regression with a random intercept for each prompt.

Of n responses of an arm to prompt p, k are misaligned: k ~ Binomial(n, logit^-1(a + b treated + s z_p)), z_p standard
normal. So a prompt that leads every arm astray is told from an arm that goes astray everywhere, and prompts with more
responses weigh more, which paired differences of means leave out. The likelihood integrates z_p out by adaptive
Gauss-Hermite quadrature (Pinheiro and Bates 1995); statsmodels maximises it.

The model says that training moves every prompt alike. Where it does not, more answers to the same prompts would make
the information of the model grow and not what is known of other prompts, so standard errors are no smaller than those
that are robust to it, from the spread of the scores over prompts (Liang and Zeger 1986), and tests are by Student's t.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln, logsumexp
from scipy.stats import t as student
from statsmodels.base.model import GenericLikelihoodModel
from statsmodels.tools.numdiff import approx_fprime

from tropism.stats.instruments import Floats

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
LOG_WEIGHTS = np.log(WEIGHTS) + NODES**2 / 2
NEWTON_STEPS = 12
ITERATIONS = 200
FLAT = 5.0
"""Logits: a 95 % interval of the odds ratio that spans a factor of three hundred million."""
Places = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Fit:
    """Estimates of the model; NaN where there are none. ``effects``, ``errors`` and ``p`` are (columns,).

    ``freedom``: degrees of freedom of the errors, one fewer than prompts.
    """

    effects: Floats
    errors: Floats
    p: Floats
    prompt_sd: float
    converged: bool
    freedom: int = 0

    @classmethod
    def empty(cls, columns: int) -> Self:
        """No estimate."""
        missing = np.full(columns, np.nan)
        return cls(missing, missing, missing, float("nan"), converged=False)


def log_likelihood(
    effects: Floats, sd: float, design: Floats, events: Floats, trials: Floats, prompt: Places
) -> tuple[float, Floats]:
    """Log-likelihood, the random intercepts integrated out, and each prompt's part of its gradient in ``effects`` and
    ``sd``: (prompts, columns + 1).

    The gradient is the mean of that given the intercepts, over their distribution given the responses (Louis 1982).

    Args:
        effects: (columns,), on the logit scale.
        sd: standard deviation of the random intercepts; its sign does not matter.
        design: (cells, columns); a cell is an arm at a prompt.
        events: (cells,), responses that are misaligned.
        trials: (cells,), responses.
        prompt: (cells,), which prompt, from 0 without gaps.
    """
    fixed, prompts = design @ effects, int(prompt.max()) + 1
    events_of = _by_prompt(prompt, events, prompts)
    mode: Floats = np.zeros(prompts)
    curvature: Floats = np.ones(prompts)
    for _ in range(NEWTON_STEPS):
        chance = expit(fixed + sd * mode[prompt])
        slope = sd * (events_of - _by_prompt(prompt, trials * chance, prompts)) - mode
        curvature = 1 + sd**2 * _by_prompt(prompt, trials * chance * (1 - chance), prompts)
        step = np.clip(slope / curvature, -2, 2)
        mode = mode + step
        if np.abs(step).max() < 1e-10:
            break
    width = 1 / np.sqrt(curvature)
    z = mode[:, None] + width[:, None] * NODES  # (prompts, nodes)
    logit = fixed[:, None] + sd * z[prompt]
    cells = events[:, None] * logit - trials[:, None] * np.logaddexp(0, logit)
    given = np.stack([_by_prompt(prompt, column, prompts) for column in cells.T], axis=1)
    log_normal = -(z**2) / 2 - np.log(2 * np.pi) / 2
    joint = given + log_normal + LOG_WEIGHTS
    marginal = logsumexp(joint, axis=1)
    ways = gammaln(trials + 1) - gammaln(events + 1) - gammaln(trials - events + 1)
    posterior = np.exp(joint - marginal[:, None])[prompt]
    surprise = (events[:, None] - trials[:, None] * expit(logit)) * posterior  # (cells, nodes)
    by_cell = np.column_stack([surprise.sum(1)[:, None] * design, (surprise * z[prompt]).sum(1)])
    scores = np.stack([_by_prompt(prompt, column, prompts) for column in by_cell.T], axis=1)
    return float((marginal + np.log(width)).sum() + ways.sum()), scores


def _by_prompt(prompt: Places, values: Floats, prompts: int) -> Floats:
    return np.bincount(prompt, weights=values, minlength=prompts).astype(np.float64)


class _RandomIntercept(GenericLikelihoodModel):
    """statsmodels' maximiser of :func:`log_likelihood`; the last parameter is the standard deviation."""

    def __init__(self, events: Floats, design: Floats, trials: Floats, prompt: Places) -> None:
        self.trials, self.prompt = trials, prompt
        super().__init__(events, design, extra_params_names=["prompt_sd"])

    def _evaluated(self, params: Floats) -> tuple[float, Floats]:
        return log_likelihood(params[:-1], params[-1], self.exog, self.endog, self.trials, self.prompt)

    def loglike(self, params: Floats) -> float:
        return self._evaluated(params)[0]

    def score(self, params: Floats) -> Floats:
        return self._evaluated(params)[1].sum(axis=0)

    def scores(self, params: Floats) -> Floats:
        """Each prompt's part of the score: (prompts, params)."""
        return self._evaluated(params)[1]

    def hessian(self, params: Floats) -> Floats:
        hessian = approx_fprime(params, self.score, centered=True)
        return (hessian + hessian.T) / 2


def fit(design: Floats, events: Floats, trials: Floats, prompt: Places) -> Fit:
    """The maximum-likelihood fit; arguments as of :func:`log_likelihood`, with ``design`` one column of ones first.

    Where the level of a column (0 or 1) holds only events or none, its effect has no finite estimate, and the fit is
    empty. So it is where the maximiser does not converge, the information is not positive definite, or it is so small
    that an effect has a standard error above ``FLAT``: then the likelihood rises towards infinity.
    """
    columns = design.shape[1]
    if _separated(design, events, trials):
        return Fit.empty(columns)
    start = np.zeros(columns + 1)
    overall = (events.sum() + 0.5) / (trials.sum() + 1)
    start[0], start[-1] = np.log(overall / (1 - overall)), 0.7
    model = _RandomIntercept(events, design, trials, prompt)
    found = model.fit(
        start, method="bfgs", maxiter=ITERATIONS, disp=0, gtol=1e-6, warn_convergence=False, skip_hessian=True
    )
    information = -model.hessian(found.params)
    if not found.mle_retvals["converged"] or np.linalg.eigvalsh(information).min() <= 0:
        return Fit.empty(columns)
    scores = model.scores(found.params)
    freedom = len(scores) - 1
    if freedom < 1:
        return Fit.empty(columns)
    inverse = np.linalg.inv(information)
    robust = inverse @ (scores.T @ scores) @ inverse * len(scores) / freedom
    errors = np.sqrt(np.maximum(np.diag(inverse), np.diag(robust)))[:-1]
    if errors.max() > FLAT:
        return Fit.empty(columns)
    effects = found.params[:-1]
    p = 2 * student.sf(np.abs(effects) / errors, freedom)
    return Fit(effects, errors, p, float(abs(found.params[-1])), converged=True, freedom=freedom)


def _separated(design: Floats, events: Floats, trials: Floats) -> bool:
    for column in design.T:
        for level in np.unique(column):
            some = column == level
            if events[some].sum() in (0, trials[some].sum()):
                return True
    return False
