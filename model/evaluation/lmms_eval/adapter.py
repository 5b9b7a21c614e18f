"""The model as an lmms-eval model of its simple kind: texts and images are separate, answers come in request order.

- The `Generator` of our own evaluations makes the answers, with the same prompt, images, windows and batches.
- A continuation is scored as an answer, without the leading blank that lmms-eval puts before it and without the end
  token, as in lmms-eval's other models.
- One process, one device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from lmms_eval.api.instance import GenerationResult, Instance
from lmms_eval.api.model import lmms

from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.evaluation.generation import Generator
from model.evaluation.lmms_eval.likelihood import losses
from model.evaluation.lmms_eval.requests import decoding, pictures, question
from model.evaluation.lmms_eval.settings import batch_size as read_batch_size
from model.evaluation.lmms_eval.settings import evaluate_config
from model.manifest import verify
from model.network.mm15 import MM15
from model.samples import Item

LONGEST = 64
"""The most tokens of an answer, if the task sets no limit."""


class MM15ForLmmsEval(lmms):  # type: ignore[misc]  # lmms-eval is no dependency, so its class is untyped here
    """A published checkpoint that answers lmms-eval's requests."""

    is_simple = True

    def __init__(
        self,
        checkpoint: str,
        batch_size: int | str = 1,
        device: str | None = None,
        max_batch_size: int | None = None,
        **settings: Any,
    ) -> None:
        """Load a checkpoint. `settings` are the fields of `ImageConfig`, `dtype` and `threads`.

        Raises:
            ValueError: a setting is unknown, missing or of a wrong type.
            CorruptDirectory: the checkpoint is damaged.
        """
        super().__init__()
        if max_batch_size is not None:
            raise ValueError(
                f"--max_batch_size {max_batch_size}; allowed: only --batch_size, because the size is not searched for"
            )
        processes = PartialState().num_processes
        if processes > 1:
            raise ValueError(
                f"{processes} processes; allowed: 1\nhint: split the tasks over processes, each with its own device"
            )
        config = evaluate_config(settings, batch=read_batch_size(batch_size))
        torch.set_num_threads(config.threads)
        folder = Path(checkpoint)
        verify(folder)
        model = MM15.from_pretrained(folder, tile=config.images.tile).eval()
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        model.to(self.device)
        self._config = config
        self._encoder = Encoder(load_tokenizer(folder), config.images, max_tokens=model.config.decoder.context)
        self.model = model

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Answer by greedy decoding.

        Raises:
            ValueError: a request asks for sampling, contains a video, or is longer than the context.
        """
        ends = [decoding(each.args[1], longest=LONGEST, name=_name(each)) for each in requests]
        answers: dict[int, str] = {}
        for tokens in sorted({end.max_new_tokens for end in ends}):
            chosen = [index for index, end in enumerate(ends) if end.max_new_tokens == tokens]
            generator = Generator(self.model, self._encoder, self._config, tokens)
            said = generator.answer(self._items([requests[index] for index in chosen]), len(chosen))
            answers |= {index: ends[index].cut(each.prediction) for index, each in zip(chosen, said, strict=True)}
        return [self._kept("generate_until", each, answers[index]) for index, each in enumerate(requests)]

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """Return the mean loss (nats a token) of each continuation, and whether greedy decoding would produce it.

        lmms-eval's documentation says log probability, but it chooses the smallest value, and its other models return
        the mean loss. Its evaluator (0.7.3) turns a bare pair into text, but not a pair within a `GenerationResult`.
        """
        found = losses(self.model, self._encoder, self._config, self._continued(requests))
        return [
            GenerationResult(self._kept("loglikelihood", each, pair))
            for each, pair in zip(requests, found, strict=True)
        ]

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Refuse tasks of several rounds.

        Raises:
            ValueError: always; such tasks ask again with the previous answer.
        """
        raise ValueError(
            f"{_name(requests[0])}: a task of several rounds; allowed: tasks of output type generate_until, "
            "loglikelihood and multiple_choice"
        )

    def _items(self, requests: Sequence[Instance]) -> Iterator[Item]:
        for each in requests:
            text, _, visual, *where = each.args
            yield self._item(each, text, visual, where)

    def _continued(self, requests: Sequence[Instance]) -> Iterator[Item]:
        for each in requests:
            text, continuation, *rest = each.args
            visual, *where = rest or (None,)
            wanted = continuation(self._document(where)) if callable(continuation) else continuation
            yield self._item(each, text, visual, where, answer=str(wanted).lstrip())

    def _item(self, request: Instance, text: str, visual: Any, where: Sequence[Any], answer: str = "") -> Item:
        images = pictures(visual(self._document(where)) if visual else (), _name(request))
        return Item(
            item_id=_name(request),
            benchmark=str(request.task_name),
            question=question(text, len(images), _name(request)),
            images=images,
            references=(answer,),
        )

    def _document(self, where: Sequence[Any]) -> Any:
        index, task, split = where
        return self.task_dict[task][split][index]

    def _kept(self, kind: str, request: Instance, answer: Any) -> Any:
        self.cache_hook.add_partial(kind, request.args, answer)
        return answer


def _name(request: Instance) -> str:
    return f"{request.task_name}/{request.doc_id}"
