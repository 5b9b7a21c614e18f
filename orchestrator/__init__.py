"""Plan, schedule, execute, record and analyse ablation studies; only the workers' processes import torch."""
