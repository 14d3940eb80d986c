"""The HTTP front: the only place that knows aiohttp.web."""
