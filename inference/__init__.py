"""A self-hosted home for the Azure AI Model Inference API.

Two places explain the rest: `contracts/` has the nouns, `service.py` the stages of a request.
"""

import os

__version__ = "0.1.0"

REPORTING_SWITCHES = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY")
"""Variables that stop libraries from sending telemetry to their makers: onnxruntime and onnxruntime-genai
read the first at import, huggingface_hub the second.

From 1.29 on, onnxruntime otherwise writes a device id under the home folder and uploads its counters, on
Linux and macOS too. Its call `disable_telemetry_events()` comes too late to prevent the file.
"""

for _name in REPORTING_SWITCHES:
    # Here, because every import of the package runs this file before it can load a library; child processes
    # inherit the variables. A value that the operator has set stays: 0 allows telemetry.
    os.environ[_name] = os.environ.get(_name) or "1"
