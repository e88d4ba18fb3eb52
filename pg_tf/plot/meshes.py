"""Triangle meshes for pictures: surfaces of equal value, spheres and sticks."""

import functools
import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from skimage.measure import marching_cubes


class Mesh(NamedTuple):
    """`vertices` float `[V, 3]`; `faces` int `[F, 3]`, indices into the vertices, anticlockwise from outside."""

    vertices: npt.NDArray[np.float64]
    faces: npt.NDArray[np.int64]


def joined(meshes: list[Mesh]) -> Mesh:
    """All meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([np.zeros((0, 3)), *(mesh.vertices for mesh in meshes)]),
        np.concatenate(
            [
                np.zeros((0, 3), np.int64),
                *(mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)),
            ]
        ),
    )


def isosurface(values: npt.ArrayLike, level: float) -> Mesh:
    """The surface around all voxels above a level, closed where they touch the edge of the grid.

    Args:
      values: `[nx, ny, nz]`.
      level: value of the surface, between the smallest and the largest of `values`.

    Returns:
      A mesh whose vertices are in units of voxels; (0, 0, 0) is the centre of the first voxel.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 3:
        raise ValueError(f"values: shape must be [nx, ny, nz], got {list(values.shape)}")
    # A border well below the level closes the surface at the edge of the grid.
    outside = min(float(values.min(initial=level)), level - abs(level))
    closed = np.pad(values, 1, constant_values=outside)
    vertices, faces, _, _ = marching_cubes(closed, level, gradient_direction="ascent")
    return Mesh(vertices - 1.0, faces.astype(np.int64))


@functools.cache
def sphere(subdivisions: int = 2) -> Mesh:
    """A unit sphere: an icosahedron whose triangles are divided into four, `subdivisions` times."""
    golden = (1 + 5**0.5) / 2
    corners = [
        np.roll((0.0, sign, other * golden), shift)
        for shift, sign, other in itertools.product(range(3), (-1, 1), (-1, 1))
    ]
    vertices = np.array(corners)
    faces = []
    for a, b, c in itertools.combinations(range(12), 3):
        triangle = vertices[[a, b, c]]
        if np.allclose(np.linalg.norm(triangle - np.roll(triangle, 1, axis=0), axis=1), 2):
            outward = np.linalg.det(triangle) > 0
            faces.append((a, b, c) if outward else (a, c, b))
    triangles = np.array(faces)
    for _ in range(subdivisions):
        sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
        unique, index = np.unique(np.sort(sides, axis=1), axis=0, return_inverse=True)
        ab, bc, ca = index.reshape(3, -1) + len(vertices)
        vertices = np.concatenate([vertices, vertices[unique].mean(axis=1)])
        a, b, c = triangles.T
        corners_and_middle = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        triangles = np.concatenate([np.stack(part, -1) for part in corners_and_middle])
    return Mesh(vertices / np.linalg.norm(vertices, axis=1, keepdims=True), triangles)


def stick(start: npt.NDArray[np.float64], end: npt.NDArray[np.float64], radius: float, sides: int = 10) -> Mesh:
    """The side of a cylinder from one point to another; its ends are open."""
    direction = (end - start) / np.linalg.norm(end - start)
    across = np.cross(direction, np.eye(3)[np.argmin(np.abs(direction))])
    across /= np.linalg.norm(across)
    angle = 2 * np.pi * np.arange(sides)[:, None] / sides
    ring = radius * (np.cos(angle) * across + np.sin(angle) * np.cross(direction, across))
    this, following = np.arange(sides), np.roll(np.arange(sides), -1)
    faces = [(this, following, following + sides), (this, following + sides, this + sides)]
    return Mesh(np.concatenate([start + ring, end + ring]), np.concatenate([np.stack(f, -1) for f in faces]))
