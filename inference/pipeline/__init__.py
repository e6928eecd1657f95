"""The stages of a request between HTTP and the model."""
