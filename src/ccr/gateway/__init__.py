"""The way of a request, from the decoded body to the bytes of the answer."""
