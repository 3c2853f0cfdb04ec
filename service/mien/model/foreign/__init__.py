"""Somebody else's ONNX network, made a bundle.

The only room of the service that imports `onnx` (the extra `mien[import]`); nothing that serves
comes here.
"""
