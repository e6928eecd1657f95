"""Running the server: make serve, deployments, models, where things live."""

from __future__ import annotations

from training.chat.facts import WHAT_IS, Fact, named
from training.chat.small_talk import ADD, REAL

SERVING_FACTS = (
    Fact(
        named(WHAT_IS, ("make serve", "the make serve command")),
        "make serve starts every route on the starter models, offline, and prints the address and "
        "a curl line.",
        "It starts the server.",
    ),
    Fact(
        (
            "how do i (start|run|launch) (the server|this|it|the api)?",
            "how (can|do) i serve (the models|this)?",
            "(what|which) command (starts|runs) the server?",
            "(start|run) the server",
            "how to (start|run) (it|the server|this endpoint)?",
        ),
        "Run make serve. It listens on port 7071.",
        "Run make serve.",
    ),
    Fact(
        (
            "(which|what) port (is it|does it use|is used)?",
            "what is the port?",
            "(where|on which port) does (it|the server) listen?",
            "how do i (change|set) the port?",
            "can i (use|take) another port?",
        ),
        "Port 7071; make serve PORT=8080 takes another one.",
        "7071.",
    ),
    Fact(
        (
            "how do i (run|start) the tests?",
            "(what|which) command runs the tests?",
            "(run|start) the tests",
            "how (can|do) i test (this|it)?",
            "what (is|does) make test(| do)?",
        ),
        "Run make test.",
        "make test.",
    ),
    Fact(
        named(WHAT_IS, ("a deployment", "deployments", "a deployment folder")),
        "A deployment is a folder with a model.json beside the model files. Its name picks the model.",
        "A folder with a model.",
    ),
    Fact(
        named(WHAT_IS, ("model.json", "the model.json file", "a model card")),
        "model.json describes a deployment: its name, type, files and the parameters it can honour.",
        "It describes a deployment.",
    ),
    Fact(
        (
            "how do i add (a|my|another|a real) model?",
            "can i (use|add|bring) (my|another) (own |)model?",
            "(add|install) (a|another|a real) model",
            "where do (i put|) models (live|go)?",
            "how to (use|serve) (a|my) (real|own|bigger) model?",
        ),
        REAL,
        ADD,
    ),
    Fact(
        (
            "how do i (download|pull|fetch) a model?",
            "can (it|you) (download|pull) models?",
            "(download|pull) a model",
            "(which|what) command (pulls|downloads) (a model|models)?",
            "how to (pull|download) (a model|models)?",
        ),
        "Run python -m inference models pull with the name of the model.",
        "python -m inference models pull.",
    ),
    Fact(
        (
            "(which|what) (models|deployments) are (there|deployed|available)?",
            "(list|show) the (models|deployments)",
            "how do i (list|see) (the |)(models|deployments)?",
            "what (models|deployments) can i (use|call)?",
            "what starter models are there?",
        ),
        "Run python -m inference models list. It starts with starter-chat, starter-embeddings and "
        "starter-images.",
        "python -m inference models list.",
    ),
    Fact(
        named(WHAT_IS, ("starter-chat", "the starter-chat model")),
        "starter-chat is me: a small chat model for trying the endpoint.",
        "It is me.",
        "identity",
    ),
    Fact(
        named(WHAT_IS, ("starter-embeddings", "starter-images")),
        "starter-embeddings turns texts into vectors and starter-images turns images into vectors.",
        "A starter model for vectors.",
    ),
    Fact(
        (
            "(does it|do you) need (the internet|a network|a connection)?",
            "(does it|can it) (work|run) offline?",
            "is (it|this) offline?",
            "(do|does) (my data|the data|anything) leave (the|my) (machine|computer)?",
            "is the internet needed?",
        ),
        "No network is needed: the models run on your own machine.",
        "It works offline.",
    ),
    Fact(
        (
            "(do i|does it) need a (gpu|graphics card)?",
            "(does it|can it) run (on|without) a (gpu|cpu)?",
            "is a gpu needed?",
            "what hardware (do i|does it) need?",
            "(cpu or gpu|gpu or cpu)?",
        ),
        "No GPU is needed: the models run on the CPU.",
        "No, a CPU is enough.",
    ),
    Fact(
        named(WHAT_IS, ("onnx", "onnxruntime", "the onnx runtime")),
        "ONNX is a file format for models, and onnxruntime is the library that runs them here.",
        "It runs the models.",
    ),
    Fact(
        named(WHAT_IS, ("this api", "this endpoint", "the azure ai model inference api", "this server")),
        "This is a self-hosted home for the Azure AI Model Inference API: one API for many models.",
        "One API for many models.",
    ),
    Fact(
        named(WHAT_IS, ("azure functions", "the functions app", "the function app")),
        "The server is a Python app for Azure Functions: it runs on your machine or in your own cloud.",
        "The app that serves this API.",
    ),
    Fact(
        (
            "(can i|how do i) use the openai (package|client|sdk)?",
            "does (the |)openai (client|package|sdk) work?",
            "is (it|this) openai compatible?",
            "(does it|can it) (speak|work with) openai?",
            "which url for the openai client?",
        ),
        "Yes: point the openai package at /openai/v1 with your key.",
        "Yes, at /openai/v1.",
    ),
    Fact(
        (
            "(can i|how do i) use the azure (sdk|client|package)?",
            "does the azure (sdk|client) work?",
            "(which|what) client can i use?",
            "(does it|can it) work with azure-ai-inference?",
            "is there a (python |)client?",
        ),
        "Yes: the azure-ai-inference package works. Give it the endpoint and your key.",
        "Yes, azure-ai-inference works.",
    ),
    Fact(
        (
            "what is the licence?",
            "(under|on) which licen(c|s)e is (this|it)?",
            "is (this|it) (free|open source)?",
            "can i use (this|it) for free?",
            "which licence does (this|it) have?",
        ),
        "It is open source under the MIT licence.",
        "MIT.",
    ),
)
