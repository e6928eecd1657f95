"""Asks an endpoint of this API for streamed chat answers, over HTTP or in this process."""
