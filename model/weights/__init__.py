"""Import of weights: encoders of CLIP, SigLIP and open_clip, any causal decoder; read strictly, never from pickles."""
