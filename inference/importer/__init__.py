"""Import of models: from files in a folder, on a hub or in a container to a deployment that was opened once.

Nothing that comes with a model is executed: graphs are data, chat templates run in their sandbox, and of a
hub's files only ONNX graphs and those of `plan.SIDE_FILES` are downloaded.
"""
