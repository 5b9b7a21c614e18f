"""The entry point `lmms_eval.models`, which registers the class under the name `mm15`."""

from __future__ import annotations

from lmms_eval.models.registry_v2 import ModelManifest

MANIFEST = ModelManifest(model_id="mm15", simple_class_path="model.evaluation.lmms_eval.adapter.MM15ForLmmsEval")
