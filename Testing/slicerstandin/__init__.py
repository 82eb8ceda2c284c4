"""What 3D Slicer has beyond the slicer-core package, as thin as tests need it: qt, ctk, widgets, views, application.

Module files run unchanged on it, without display, on real MRML and with Slicer's own ``slicer.util``. It differs from
Slicer where Slicer would hide a mistake: an unknown signal, property or attribute raises here. Nothing of the product
knows it. ``session.Session`` is the entry; tests get one from the fixture ``slicer_app``.
"""
