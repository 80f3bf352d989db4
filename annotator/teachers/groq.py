"""Groq, asked through its own SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from annotator.config.settings import RunConfig
from annotator.teachers.http import Answer, client_options, explained, no_answer_in_time, unreachable


class GroqConnection:
    """Sends requests through the SDK's client, without its retries."""

    def __init__(self, config: RunConfig, key: str) -> None:
        import groq

        with explained():
            self._client = groq.AsyncGroq(**client_options(config, key, groq.DefaultAsyncHttpxClient), max_retries=0)
        self.where = str(self._client.base_url)
        self._timeout = config.timeout

    async def post(self, body: bytes) -> Answer:
        """Send one request."""
        import groq

        rest = json.loads(body)
        model, messages = rest.pop("model"), rest.pop("messages")
        create = self._client.chat.completions.with_raw_response.create
        try:
            async with asyncio.timeout(self._timeout):  # the SDK's own is for each read
                raw = await create(model=model, messages=messages, extra_body=rest)
            response = raw.http_response
        except groq.APIStatusError as error:
            response = error.response
        except (TimeoutError, groq.APITimeoutError) as error:
            raise no_answer_in_time(self.where) from error
        except groq.APIConnectionError as error:
            raise unreachable(self.where, error) from error
        return Answer(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        """Close the SDK's client."""
        await self._client.close()


connect = GroqConnection


def list_batches(client: Any) -> Iterable[Any]:
    """Return the account's batches, which come in one answer without pages."""
    return client.batches.list().data or ()
