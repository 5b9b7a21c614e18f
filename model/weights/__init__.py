"""Weights from elsewhere: encoders of CLIP, SigLIP and open_clip, any causal decoder; read strictly, never as pickles."""
