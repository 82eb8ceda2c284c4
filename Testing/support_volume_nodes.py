"""Volume nodes with known geometry, for tests of what is made from nodes and put into them."""

from __future__ import annotations

import numpy as np

SHAPE = (4, 5, 6)


def voxels(dtype=np.int16) -> np.ndarray:
    return (np.arange(np.prod(SHAPE)).reshape(SHAPE) * 7 - 400).astype(dtype)


def matrix(directions=None, spacing=(0.7, 0.8, 2.5), origin=(10.0, -20.0, 30.0)) -> np.ndarray:
    """(4, 4) IJK to RAS; by default as a head-first supine CT."""
    directions = np.diag([-1.0, -1.0, 1.0]) if directions is None else directions
    out = np.eye(4)
    out[:3, :3] = directions * spacing
    out[:3, 3] = origin
    return out


def make_node(scene, ijk_to_ras: np.ndarray, array: np.ndarray | None = None, name: str = "CT"):
    import slicer.util

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, voxels() if array is None else array)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    return node


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Rotation matrix by Euler angles in degrees."""
    a, b, c = np.radians([x, y, z])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


DIRECTIONS = {
    "supine": np.diag([-1.0, -1.0, 1.0]),
    "upside-down": np.diag([-1.0, -1.0, -1.0]),
    "mirrored": np.diag([1.0, -1.0, 1.0]),
    "coronal": np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]]),
    "sagittal": np.array([[0.0, 0, -1], [-1, 0, 0], [0, -1, 0]]),
    "oblique": rotation(12, -25, 40),
}


def linear_transform(scene, values: np.ndarray):
    import slicer.util

    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(values))
    return node


def slice_transform(scene, off: np.ndarray):
    """A grid transform as Slicer's DICOM reader makes it: slice k of ``matrix()`` is moved by off[k], RAS mm."""
    import slicer
    import vtk

    image = vtk.vtkImageData()
    image.SetOrigin(10.0 - 0.7 * 5, -20.0 - 0.8 * 4, 30.0)
    image.SetSpacing(0.7 * 5, 0.8 * 4, 2.5)
    image.SetDimensions(2, 2, SHAPE[0])
    image.AllocateScalars(vtk.VTK_DOUBLE, 3)
    for k in range(SHAPE[0]):
        for j in range(2):
            for i in range(2):
                for axis in range(3):
                    image.SetScalarComponentFromDouble(i, j, k, axis, off[k][axis])
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(image)
    grid.SetInterpolationModeToLinear()
    node = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "acquisition transform")
    node.SetAndObserveTransformToParent(grid)
    return node
