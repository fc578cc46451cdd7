"""Preconditioned conjugate gradients for the border of the equity prices, which is never formed.

The border sum_t a R_t a' + diag(W) says how footprints answer to equity prices. Where no region is at its
capacity every gateway is a star between its regions, and R_t the mesh that replaces it: a Laplacian with an
entry where two regions share a gateway. Those meshes, with regions damped by their barriers, summed over all
slots, are one sparse matrix that is close to the border at every centring; it preconditions conjugate
gradients.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array
from eglb.foundation.compilation import compiled, cube, float64, in_shards, indices, nothing, several

Linear = Callable[[Array], Array]

_MOST_STEPS = 200
_tensor = float64[:, :, :, ::1]


class BorderPreconditioner:
    """The border, approximately: pattern once, values and factor at every Newton step.

    Parameters
    ----------
    intensity : (blocks, K, N, lanes).
    """

    def __init__(self, market: Market, intensity: Array) -> None:
        self._intensity = intensity
        kinds, regions = intensity.shape[1:3]
        start = market.gateway_start
        one, other, gateway = edge_pairs(start, np.arange(start[-1]))
        a, b = market.edge_region[one], market.edge_region[other]
        joined, link = np.unique(np.minimum(a, b) * regions + np.maximum(a, b), return_inverse=True)
        self._links = joined // regions, joined % regions
        self._pairs = one, other, gateway, link.astype(np.int64)
        self._edges = start, market.edge_region
        self._shape = kinds, regions
        # Entry (k, i), (m, j) of the matrix; kinds innermost, so that a region's stay together.
        left, right = self._links
        rows, columns = [], []
        for k in range(kinds):
            for m in range(kinds):
                rows += [left * kinds + k, right * kinds + k]
                columns += [right * kinds + m, left * kinds + m]
        for k in range(kinds):
            for m in range(kinds):
                rows.append(np.arange(regions) * kinds + k)
                columns.append(np.arange(regions) * kinds + m)
        self._rows, self._columns = np.concatenate(rows), np.concatenate(columns)

    def assemble(self, weight: Array, damped: Array) -> ApproximateBorder:
        """The meshes of all slots, from the routes' weights (blocks, E, lanes) and the regions' damping
        (blocks, N, lanes).
        """
        blocks, kinds, regions, _ = self._intensity.shape
        link = np.empty((blocks, kinds, kinds, 2, len(self._links[0])))
        own = np.empty((blocks, kinds, kinds, regions))
        in_shards(
            _add_meshes,
            (kinds + 1) ** 2 * weight.size,
            (self._intensity, weight, damped, link, own),
            self._edges,
            self._pairs,
            self._links,
        )
        diagonal = own.sum(0)
        values = np.concatenate([link.sum(0).ravel(), diagonal.ravel()])
        size = kinds * regions
        matrix = sp.csc_matrix((values, (self._rows, self._columns)), shape=(size, size))
        return ApproximateBorder(matrix, diagonal[range(kinds), range(kinds)])


class ApproximateBorder:
    """About the border, as a sparse `matrix` (N K, N K), kinds innermost, with diagonal `own` (K, N)."""

    def __init__(self, matrix: sp.csc_matrix, own: Array) -> None:
        self.matrix = matrix
        self.own = own

    def replace(self, region: Array, exact: Array) -> None:
        """Put the `exact` block (n K, n K) of some regions in the place of the approximate one."""
        kinds = len(self.own)
        at = (region[:, None] * kinds + np.arange(kinds)).ravel()
        more = exact - self.matrix[at][:, at].toarray()
        rows, columns = np.broadcast_arrays(at[:, None], at)
        block = (more.ravel(), (rows.ravel(), columns.ravel()))
        self.matrix = self.matrix + sp.csc_matrix(block, shape=self.matrix.shape)

    def factor(self, compliance: Array) -> Linear:
        """The inverse of this plus diag(`compliance`), as a function of (K, N)."""
        kinds, regions = compliance.shape
        whole = self.matrix + sp.diags(compliance.T.ravel())
        scale = 1.0 / np.sqrt(whole.diagonal())
        factors = splu(
            (sp.diags(scale) @ whole @ sp.diags(scale)).tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )

        def inverse(side: Array) -> Array:
            return (scale * factors.solve(scale * side.T.ravel())).reshape(regions, kinds).T

        return inverse


def edge_pairs(start: Array, order: Array) -> tuple[Array, Array, Array]:
    """All pairs of edges ``order[start[c]:start[c + 1]]`` that meet in the same place c, and that place."""
    found = [np.zeros((3, 0), np.int64)]
    for c in range(len(start) - 1):
        edges = order[start[c] : start[c + 1]]
        one, other = np.triu_indices(len(edges), 1)
        found.append(np.array([edges[one], edges[other], np.full(len(one), c)]))
    one, other, place = np.concatenate(found, axis=1).astype(np.int64)
    return one, other, place


@compiled(
    nothing(
        _tensor,
        cube,
        cube,
        float64[:, :, :, :, ::1],
        _tensor,
        several((indices, indices)),
        several((indices, indices, indices, indices)),
        several((indices, indices)),
    )
)
def _add_meshes(
    intensity: Array,
    weight: Array,
    damped: Array,
    link: Array,
    own: Array,
    edges: tuple[Array, Array],
    pairs: tuple[Array, Array, Array, Array],
    links: tuple[Array, Array],
) -> None:
    """Off-diagonal entries `link` (blocks, K, K, 2, L) by direction and diagonal `own` (blocks, K, K, N) of
    the meshes.
    """
    gateway_start, edge_region = edges
    one, other, pair_gateway, pair_link = pairs
    left, right = links
    blocks, kinds, regions, lanes = intensity.shape
    gateways = len(gateway_start) - 1
    damped_weight = np.empty((len(edge_region), lanes))
    inverse = np.empty((gateways, lanes))
    mesh = np.empty((len(left), lanes))
    degree = np.empty((regions, lanes))
    for b in range(blocks):
        inverse[:] = 0.0
        for j in range(gateways):
            total = inverse[j]
            for e in range(gateway_start[j], gateway_start[j + 1]):
                into, w, damp = damped_weight[e], weight[b, e], damped[b, edge_region[e]]
                for v in range(lanes):
                    into[v] = w[v] * damp[v]
                    total[v] += into[v]
            for v in range(lanes):
                total[v] = 1.0 / total[v] if total[v] > 0.0 else 0.0
        mesh[:] = 0.0
        for p in range(len(one)):
            into, a, c = mesh[pair_link[p]], damped_weight[one[p]], damped_weight[other[p]]
            total = inverse[pair_gateway[p]]
            for v in range(lanes):
                into[v] += a[v] * total[v] * c[v]
        degree[:] = 0.0
        for p in range(len(left)):
            a, c, w = degree[left[p]], degree[right[p]], mesh[p]
            for v in range(lanes):
                a[v] += w[v]
                c[v] += w[v]
        for k in range(kinds):
            for m in range(kinds):
                for p in range(len(left)):
                    w = mesh[p]
                    a, c = intensity[b, k, left[p]], intensity[b, m, right[p]]
                    f, g = intensity[b, k, right[p]], intensity[b, m, left[p]]
                    there, back = 0.0, 0.0
                    for v in range(lanes):
                        there += a[v] * w[v] * c[v]
                        back += f[v] * w[v] * g[v]
                    link[b, k, m, 0, p] = -there
                    link[b, k, m, 1, p] = -back
                for i in range(regions):
                    a, c, w = intensity[b, k, i], intensity[b, m, i], degree[i]
                    part = 0.0
                    for v in range(lanes):
                        part += a[v] * w[v] * c[v]
                    own[b, k, m, i] = part


def projected_cg(
    apply: Linear,
    precondition: Linear,
    side: Array,
    direction: Array,
    rest: Array,
    guess: Array,
    enough: float,
) -> tuple[Array, Array, int]:
    """A x + direction_k s_k = side with direction_k . x_k = rest_k, by conjugate gradients among such x.

    Stops when the residual r has r . precondition(r) <= `enough`.

    Parameters
    ----------
    apply, precondition : A and about its inverse, both symmetric and positive definite, on (K, N).
    side, direction, guess : (K, N). rest : (K,).

    Returns
    -------
    x (K, N), s (K,), and the number of steps.
    """
    kinds = len(rest)
    free = np.zeros((kinds, *side.shape))
    free[range(kinds), range(kinds)] = direction
    lifts = np.array([precondition(one) for one in free]).reshape(free.shape)
    lifted = np.linalg.inv((lifts * direction).sum(2))

    def project(residual: Array) -> tuple[Array, Array]:
        """The residual's level s, and what is left of it, preconditioned, at right angles to `direction`."""
        lift = precondition(residual)
        level = lifted @ (lift * direction).sum(1)
        return level, lift - np.tensordot(level, lifts, 1)

    x = guess + np.tensordot(lifted @ (rest - (guess * direction).sum(1)), lifts, 1)
    residual = side - apply(x)
    s, size, search = np.zeros(kinds), 1.0, np.zeros_like(side)
    for steps in range(_MOST_STEPS):  # noqa: B007 (told at the end)
        # The level is taken out of the residual at once: left in, it would drown the rest in rounding errors.
        level, lift = project(residual)
        residual = residual - level[:, None] * direction
        s = s + level
        before, size = size, float((residual * lift).sum())
        if not size > enough:
            break
        search = lift + size / before * search
        image = apply(search)
        step = size / float((search * image).sum())
        x = x + step * search
        residual = residual - step * image
    return x, s, steps
