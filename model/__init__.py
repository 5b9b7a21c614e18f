"""The multimodal model, its images, data, training and evaluation; knows nothing of studies."""
