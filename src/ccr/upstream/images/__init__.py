"""Images that do not go out as they came in: made smaller (pillow.py), or fetched from the web (fetch.py).

Both return an `InlineImage`, or in a few words why there is none; neither ever fails a request.
"""
