"""From files somewhere to a deployment that serves: looked at, described, opened once, published whole.

Nothing that comes with a model is executed: graphs are data, templates run in their sandbox, and of a hub's
files only those of `plan.SIDE_FILES` and ONNX graphs are fetched.
"""
