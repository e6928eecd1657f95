"""The backend of ONNX vision encoders: image embeddings, with texts in the same space where there are any."""
