"""A self-hosted home for the Azure AI Model Inference API.

Two files explain the rest: `contracts.py` holds the nouns, `service.py` the journey of a request.
"""

__version__ = "0.1.0"
