"""A self-hosted home for the Azure AI Model Inference API.

Two places explain the rest: `contracts/` has the nouns, `service.py` the journey of a request.
"""

import os

__version__ = "0.1.0"

REPORTING_SWITCHES = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY")
"""Variables that keep libraries from reporting to their makers: onnxruntime and onnxruntime-genai read the
first when they are loaded, huggingface_hub the second.

From 1.29 on onnxruntime otherwise writes a device id under the home folder and uploads what it counted, on
Linux and macOS too. Its call `disable_telemetry_events()` comes too late for the file.
"""

for _name in REPORTING_SWITCHES:
    # Here, because every way into the package runs this file before it can load a library; child processes
    # inherit it. What an operator has set holds: 0 allows the reports.
    os.environ[_name] = os.environ.get(_name) or "1"
