#!/usr/bin/env python3
"""Writes the vectors that `tests/it/vectors.rs` compares `src/stats` with.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy scipy
    /tmp/venv/bin/python tests/vectors/make_vectors.py

Expectations come from scipy, or from formulas written here in numpy by their definition (double sums over pairs, not
the sweeps over bins of the product). The seed is fixed and numbers are written with 17 digits, so that a run changes
nothing. Written with numpy 2.x and scipy 1.1x; see `versions` in each file.

Values are nanoseconds at the lower ends of bins (32 an octave), so that the binned sample is the sample itself.
"""

import json
import math
import pathlib

import numpy as np
import scipy
from scipy import special, stats
from scipy.stats._morestats import _anderson_ksamp_midrank

HERE = pathlib.Path(__file__).parent
rng = np.random.default_rng(20261122)


def write(name, cases):
    head = {"versions": f"numpy {np.__version__}, scipy {scipy.__version__}"}
    text = json.dumps({**head, "cases": cases}, indent=None, separators=(",", ":"))
    (HERE / f"{name}.json").write_text(text.replace('{"', '\n{"') + "\n")


def snap(ns):
    """The lower end of the bin of each value, at least 1024 ns so that every such end is a whole number."""
    ns = np.maximum(np.asarray(ns, dtype=float), 1024.0)
    mantissa, exponent = np.frexp(ns)
    return (np.floor(mantissa * 64) / 64 * 2.0**exponent).astype(np.int64)


def lognormal(count, sd, shift=0.0, scale=1e6):
    return snap(scale * np.exp(shift + sd * rng.standard_normal(count)))


def middle(ns):
    """The middle of a bin, by its lower end."""
    ns = np.asarray(ns, dtype=float)
    return ns + 2.0 ** np.floor(np.log2(ns)) / 64


def brunner_munzel():
    """One trace a shard: our variance between shards is then the variance of Brunner and Munzel."""
    cases = []
    for n, m, shift in [(64, 64, 0.0), (64, 40, 0.2), (12, 60, -0.4), (8, 8, 0.1), (30, 30, 0.6), (64, 64, 0.15)]:
        for sd in (0.2, 0.8):
            x, y = lognormal(n, 0.5), lognormal(m, sd, shift)
            # scipy's statistic is positive when the second sample is larger, as ours.
            found = stats.brunnermunzel(x, y)
            ranks = stats.rankdata(np.concatenate([x, y]))
            theta = (ranks[n:].mean() - (m + 1) / 2) / n
            se = (theta - 0.5) / found.statistic if theta != 0.5 else None
            two = found.pvalue
            df = solve_df(abs(found.statistic), two)
            cases.append(dict(before=x.tolist(), after=y.tolist(), theta=theta, se=se, df=df, t=found.statistic))
    write("brunner_munzel", cases)


def solve_df(t, p):
    """The degrees of freedom with which scipy made p of t."""
    from scipy.optimize import brentq

    return brentq(lambda df: 2 * stats.t.sf(t, df) - p, 1.0, 1e4)


def clustered():
    """Traces with several spans, spread over shards: the direct double sum over pairs of spans."""
    cases = []
    for traces, sides in [(20, 1.0), (45, 1.3), (80, 0.9)]:
        for most in (2, 6):
            arms = [cluster_arm(traces, most, 1.0), cluster_arm(traces // 2 + 5, most, sides)]
            cases.append(dict(before=spans(arms[0]), after=spans(arms[1]), **double_sum(*arms)))
    write("clustered", cases)


def cluster_arm(traces, most, factor):
    arm = []
    for _ in range(traces):
        calls = int(rng.choice([1, 2, most]))
        weight = int(rng.choice([1, 1, 4]))
        common = rng.standard_normal()
        values = snap(1e6 * factor * np.exp(0.4 * common + 0.4 * rng.standard_normal(calls)))
        arm.append((int(rng.integers(32)), weight, values))
    return arm


def spans(arm):
    return [[shard, weight, values.tolist()] for shard, weight, values in arm]


def double_sum(before, after):
    def flat(arm):
        owner = np.concatenate([[i] * len(t[2]) for i, t in enumerate(arm)])
        value = np.concatenate([t[2] for t in arm])
        share = np.concatenate([[t[1] / len(t[2])] * len(t[2]) for t in arm])
        return owner, value, share / share.sum()

    def one(arm, other):
        owner, value, share = flat(arm)
        _, others, shares = flat(other)
        wins = (others[None, :] < value[:, None]) + 0.5 * (others[None, :] == value[:, None])
        placement = (wins * shares[None, :]).sum(axis=1)
        mean = (share * placement).sum()
        shard = np.array([arm[i][0] for i in owner])
        residual = np.array([(share * (placement - mean))[shard == s].sum() for s in np.unique(shard)])
        mass = np.array([share[shard == s].sum() for s in np.unique(shard)])
        units = 1 / (mass**2).sum()
        return mean, (residual**2).sum() * units / (units - 1), units

    (theta, a, units_after), (_, b, units_before) = one(after, before), one(before, after)
    df = (a + b) ** 2 / (a**2 / (units_after - 1) + b**2 / (units_before - 1))
    return dict(theta=theta, se=math.sqrt(a + b), df=df)


def hodges_lehmann():
    """The median of all pairwise differences of logarithms, on unbinned data."""
    cases = []
    for n, m, shift in [(200, 200, 0.0), (300, 150, 0.1), (150, 300, -0.3), (40, 40, 1.0), (500, 400, 0.03)]:
        x = np.round(1e6 * np.exp(0.6 * rng.standard_normal(n))).astype(np.int64)
        y = np.round(1e6 * np.exp(shift + 0.6 * rng.standard_normal(m))).astype(np.int64)
        estimate = float(np.median(np.subtract.outer(np.log(y), np.log(x))))
        cases.append(dict(before=x.tolist(), after=y.tolist(), estimate=estimate))
    write("hodges_lehmann", cases)


def distances():
    cases = []
    for n, m, shift, sd in [(50, 50, 0.0, 0.5), (80, 20, 0.4, 0.5), (30, 90, 0.0, 1.2), (60, 60, -0.2, 0.3)]:
        x, y = lognormal(n, 0.5), lognormal(m, sd, shift)
        both = np.concatenate([x, y])
        sizes = np.array([n, m])
        # The statistic before `scipy.stats.anderson_ksamp` standardises it.
        a2 = _anderson_ksamp_midrank([np.sort(x), np.sort(y)], np.sort(both), np.unique(both), 2, sizes, n + m)
        distance = stats.wasserstein_distance(np.log(middle(x)), np.log(middle(y)))
        case = dict(wasserstein=float(distance), anderson_darling=float(a2) / (n + m - 1))
        cases.append(dict(before=x.tolist(), after=y.tolist(), **case))
    write("distances", cases)


def quantiles():
    cases = []
    for count, sd in [(400, 0.3), (1000, 0.9), (2000, 0.05)]:
        x = np.round(2e7 * np.exp(sd * rng.standard_normal(count))).astype(np.int64)
        at = {str(q): float(np.quantile(x, q, method="hazen")) for q in (0.1, 0.5, 0.9, 0.95, 0.99)}
        cases.append(dict(values=x.tolist(), quantiles=at))
    write("quantiles", cases)


def fisher():
    cases = []
    sizes = [(10, 12), (200, 200), (1000, 37), (5, 4000), (100_000, 90_000), (10**9, 10**9)]
    for n1, n2 in sizes:
        for s1, s2 in [(0.0, 0.3), (0.1, 0.1), (0.02, 0.05), (0.5, 0.4), (0.9, 1.0)]:
            x1, x2 = round(min(n1 * s1, 60 + n1 * s1 / 1e4)), round(min(n2 * s2, 75 + n2 * s2 / 1e4))
            if n1 > 10**6 and max(x1, x2) > 10**5:
                continue
            law = stats.hypergeom(n1 + n2, x1 + x2, n2)
            case = dict(x1=x1, n1=n1, x2=x2, n2=n2, greater=law.sf(x2 - 1), less=law.cdf(x2))
            if n1 <= 100_000:
                case["two_sided"] = stats.fisher_exact([[x2, n2 - x2], [x1, n1 - x1]])[1]
            cases.append({key: plain(value) for key, value in case.items()})
    write("fisher", cases)


def plain(value):
    return int(value) if isinstance(value, (int, np.integer)) else float(value)


def absence():
    cases = []
    for x, m in [(500, 1000), (100, 1000), (5, 1000), (4, 200), (0, 50), (50, 50), (12_345, 10**7), (3, 10**9)]:
        for n in (1, 10, 300, 10_000, 10**8):
            p = stats.betabinom(n, x + 0.5, m - x + 0.5).pmf(0) if n <= 10_000 else math.exp(
                special.betaln(x + 0.5, m - x + 0.5 + n) - special.betaln(x + 0.5, m - x + 0.5)
            )
            if p > 1e-250:
                cases.append(dict(x=x, m=m, n=n, p=float(p)))
    write("absence", cases)


def enrichment():
    cases = []
    for inside_with, inside, with_, total in [(3, 3, 4, 10), (40, 50, 100, 1300), (230, 230, 240, 1300), (1, 200, 3, 900)]:
        p = stats.hypergeom(total, with_, inside).sf(inside_with - 1)
        cases.append(dict(inside_with=inside_with, inside=inside, all_with=with_, all=total, p=float(p)))
    write("enrichment", cases)


def tails():
    cases = []
    for df in (1.0, 2.5, 10.0, 30.7, 61.3, 400.0, 5e5):
        for t in (0.01, 0.5, 1.0, 1.96, 3.3, 8.0, 25.0):
            cases.append(dict(df=df, t=t, p=float(stats.t.sf(t, df)), quantile_05=float(stats.t.isf(0.025, df))))
    for z in (0.0, 0.3, 1.64, 3.1, 7.0, 20.0, 36.0):
        cases.append(dict(df=None, t=z, p=float(stats.norm.sf(z)), quantile_05=float(stats.norm.isf(0.025))))
    write("tails", cases)


def false_discovery():
    cases = []
    for count in (1, 2, 7, 40, 200):
        p = rng.uniform(size=count) ** 2
        p[: count // 5] *= 1e-4
        if count > 6:
            p[3] = p[5]
        adjusted = stats.false_discovery_control(p, method="bh")
        cases.append(dict(p=p.tolist(), q=adjusted.tolist()))
    write("false_discovery", cases)


def newcombe():
    cases = []
    for x1, n1, x2, n2 in [(48, 80, 56, 70), (0, 10, 0, 20), (0, 10, 10, 10), (3, 1000, 30, 1200), (9, 10, 3, 10)]:
        for level in (0.95, 0.99):
            z = stats.norm.isf((1 - level) / 2)
            ends = []
            for x, n in ((x1, n1), (x2, n2)):
                root = z * math.sqrt(z**2 + 4 * x * (1 - x / n))
                ends.append(((2 * x + z**2 - root) / (2 * (n + z**2)), (2 * x + z**2 + root) / (2 * (n + z**2))))
            (l1, u1), (l2, u2) = ends
            p1, p2 = x1 / n1, x2 / n2
            low = p2 - p1 - math.sqrt((p2 - l2) ** 2 + (u1 - p1) ** 2)
            high = p2 - p1 + math.sqrt((u2 - p2) ** 2 + (p1 - l1) ** 2)
            cases.append(dict(x1=x1, n1=n1, x2=x2, n2=n2, level=level, low=low, high=high))
    write("newcombe", cases)


for make in (brunner_munzel, clustered, hodges_lehmann, distances, quantiles, fisher, absence, enrichment, tails,
             false_discovery, newcombe):
    make()
